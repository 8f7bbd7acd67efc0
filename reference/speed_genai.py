"""Speed of stock onnxruntime-genai on a package: prefill and decode of text.

usage: speed_genai.py PACKAGE [--prompt 512] [--tokens 32] [--threads 2] [--runs 3]

Prints the median of each, in tokens a second, and the peak resident memory, as `qvl bench` does for its own engines.
"""

import argparse
import json
import resource
import statistics
import time

import numpy as np
import onnxruntime_genai as og


def load(package: str, threads: int) -> og.Model:
    config = og.Config(package)
    options = {"intra_op_num_threads": threads, "inter_op_num_threads": 1}
    config.overlay(json.dumps({"model": {"decoder": {"session_options": options}}}))
    return og.Model(config)


def first_token(model: og.Model, length: int, room: int) -> tuple[og.Generator, float]:
    """A generator that has taken a prompt of so many tokens, and the seconds for it."""
    parameters = og.GeneratorParams(model)
    parameters.set_search_options(max_length=length + room, min_length=length + room, do_sample=False)
    generator = og.Generator(model, parameters)
    ids = np.array([(17 * index) % 997 + 5 for index in range(length)], np.int32)
    start = time.perf_counter()
    generator.append_tokens(ids)
    # The logits are computed by the first token that is asked for.
    generator.generate_next_token()
    return generator, time.perf_counter() - start


def measure(model: og.Model, prompt: int, tokens: int) -> tuple[float, float]:
    """Tokens a second of a prompt of so many tokens, and of so many tokens after a prompt of one."""
    _, seconds = first_token(model, prompt, 2)
    generator, _ = first_token(model, 1, tokens + 2)
    start = time.perf_counter()
    for _ in range(tokens):
        generator.generate_next_token()
    return prompt / seconds, tokens / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package")
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    model = load(options.package, options.threads)
    measure(model, 16, 2)
    runs = [measure(model, options.prompt, options.tokens) for _ in range(options.runs)]
    prefill, decode = (statistics.median(rates) for rates in zip(*runs))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"prefill {options.prompt}: {prefill:.1f} tokens/s, decode: {decode:.2f} tokens/s, peak {peak:.2f} GiB")


if __name__ == "__main__":
    main()
