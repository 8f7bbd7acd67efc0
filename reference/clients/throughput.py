#!/usr/bin/env python3
"""How much more `qvl serve` answers when several ask at once, and how soon it answers again about the same picture.

usage: throughput.py QVL [--package PACKAGE] [--clients 8] [--questions 24] [--tokens 64] [--runs 3]

Asks the same questions one after the other and by so many clients at once, in turn, and prints tokens a second and their ratio. Then asks about a picture twice in one conversation, and prints the time to the
first token of both turns. Ends with 1 if an answer differs. Needs nothing but Python 3.11.
"""

import argparse
import base64
import json
import pathlib
import statistics
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from serving import serving

PICTURE = pathlib.Path(__file__).resolve().parents[2] / "examples/pictures/landscape.jpg"
PLACES = ("a harbour", "a forest", "a kitchen", "a railway station", "a library", "a market", "a mountain", "a farm")


def post(url, body):
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    return urllib.request.urlopen(request, timeout=600)


def ask(url, body):
    """An answer's text and its number of tokens."""
    with post(url, body) as response:
        answer = json.load(response)
    return answer["choices"][0]["message"]["content"], answer["usage"]["completion_tokens"]


def first_token(url, messages, tokens):
    """The seconds to the first piece of an answer, and the answer."""
    start, first, pieces = time.monotonic(), None, []
    with post(url, dict(messages=messages, temperature=0, max_completion_tokens=tokens, stream=True)) as response:
        for line in response:
            if line.startswith(b"data: {"):
                for choice in json.loads(line[6:])["choices"]:
                    if choice["delta"].get("content"):
                        first = first or time.monotonic() - start
                        pieces.append(choice["delta"]["content"])
    return first, "".join(pieces)


def questions(run, count, tokens):
    """Questions whose prompts share no more than the template's first words, with those of other runs too."""
    text = "{}: write a long story about {} and the {} people who live there."
    contents = (text.format(run * count + index, PLACES[index % len(PLACES)], 3 + index) for index in range(count))
    messages = ([dict(role="user", content=content)] for content in contents)
    return [dict(messages=each, temperature=0, max_completion_tokens=tokens, ignore_eos=True) for each in messages]


def rate(url, clients, asked):
    """Tokens a second, and the answers."""
    start = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        answers = list(pool.map(lambda body: ask(url, body), asked))
    return sum(tokens for _, tokens in answers) / (time.monotonic() - start), [text for text, _ in answers]


def throughput(url, options):
    """Prints the rates; whether all answers were the same."""
    rate(url, options.clients, questions(0, options.clients, options.tokens))
    ratios, same = [], True
    for run in range(1, options.runs + 1):
        asked = questions(run, options.questions, options.tokens)
        # Those who ask second find the prompts in the cache: not those who are to be faster.
        (together, found), (alone, expected) = rate(url, options.clients, asked), rate(url, 1, asked)
        ratios.append(together / alone)
        same = same and found == expected
        print(
            f"one after the other {alone:.1f} tokens a second, {options.clients} at once {together:.1f}: {ratios[-1]:.2f} times"
        )
    print(f"median: {statistics.median(ratios):.2f} times; answers {'are the same' if same else 'DIFFER'}")
    return same


def turns(url, tokens):
    """Prints the times to the first token of two turns about a picture."""
    data = base64.b64encode(PICTURE.read_bytes()).decode()
    picture = dict(type="image_url", image_url=dict(url=f"data:image/jpeg;base64,{data}"))
    messages = [dict(role="user", content=[picture, dict(type="text", text="What is in this picture?")])]
    first, answer = first_token(url, messages, tokens)
    messages += [dict(role="assistant", content=answer), dict(role="user", content="And what is in front?")]
    second, _ = first_token(url, messages, tokens)
    print(f"time to the first token: {first:.3f} s, of the second turn {second:.3f} s: {100 * second / first:.1f} %")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("qvl")
    parser.add_argument("--package")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--questions", type=int, default=24)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    package = [options.package] if options.package else []
    with tempfile.TemporaryDirectory() as folder:
        with serving(options.qvl, f"{folder}/log", *package) as server:
            same = throughput(server.url, options)
        with serving(options.qvl, f"{folder}/log", *package) as server:
            first_token(server.url, [dict(role="user", content="Hello")], 4)
            turns(server.url, 16)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
