#!/usr/bin/env python3
"""How much more `qvl serve` answers when several ask at once, and how soon it answers again about the same picture.

usage: throughput.py QVL [--package PACKAGE] [--clients 8] [--questions 24] [--tokens 64] [--runs 3]

Asks the same questions one after the other and by so many clients at once, in turn, and prints tokens a second and their ratio. Then
asks about a picture twice in one conversation, as often, and prints the time to the first token of both turns. Ends with 1 if an
answer differs. Needs nothing but Python 3.11.
"""

import argparse
import base64
import pathlib
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from client import Client
from serving import serving

PICTURE = pathlib.Path(__file__).resolve().parents[2] / "examples/pictures/landscape.jpg"
PLACES = ("a harbour", "a forest", "a kitchen", "a railway station", "a library", "a market", "a mountain", "a farm")


def questions(run, count, tokens):
    """Questions whose prompts share no more than the template's first words, with those of other runs too."""
    text = "{}: write a long story about {} and the {} people who live there."
    contents = (text.format(run * count + index, PLACES[index % len(PLACES)], 3 + index) for index in range(count))
    messages = ([dict(role="user", content=content)] for content in contents)
    return [dict(messages=each, temperature=0, max_completion_tokens=tokens, ignore_eos=True) for each in messages]


def rate(client, at_once, asked):
    """Tokens a second, and the answers."""
    start = time.monotonic()
    with ThreadPoolExecutor(at_once) as pool:
        answers = list(pool.map(client.whole, asked))
    return sum(tokens for _, tokens in answers) / (time.monotonic() - start), [texts for texts, _ in answers]


def throughput(client, options):
    """Prints the rates; whether all answers were the same."""
    rate(client, options.clients, questions(0, options.clients, options.tokens))
    ratios, same = [], True
    for run in range(1, options.runs + 1):
        asked = questions(run, options.questions, options.tokens)
        # Those who ask second find the prompts in the cache: not those who are to be faster.
        (together, found), (alone, expected) = rate(client, options.clients, asked), rate(client, 1, asked)
        ratios.append(together / alone)
        same = same and found == expected
        print(
            f"one after the other {alone:.1f} tokens a second, {options.clients} at once {together:.1f}: {ratios[-1]:.2f} times"
        )
    print(f"median: {statistics.median(ratios):.2f} times; answers {'are the same' if same else 'DIFFER'}")
    return same


def turns(client):
    """The seconds to the first token of two turns about a picture."""
    data = base64.b64encode(PICTURE.read_bytes()).decode()
    picture = dict(type="image_url", image_url=dict(url=f"data:image/jpeg;base64,{data}"))
    messages = [dict(role="user", content=[picture, dict(type="text", text="What is in this picture?")])]
    settings = dict(temperature=0, max_completion_tokens=16)
    [answer], _, first = client.streamed(dict(messages=messages, **settings))
    messages += [dict(role="assistant", content=answer), dict(role="user", content="And what is in front?")]
    return first, client.streamed(dict(messages=messages, **settings))[2]


def first_tokens(options, package, log):
    """Prints the times to the first token, each pair by a server that has seen no picture yet, and their medians."""
    pairs = []
    for _ in range(options.runs):
        with serving(options.qvl, log, *package) as server:
            client = Client(server.url)
            client.whole(dict(messages=[dict(role="user", content="Hello")], max_completion_tokens=4))
            pairs.append(turns(client))
        print("time to the first token: {:.4f} s, of the second turn {:.4f} s".format(*pairs[-1]))
    first, second = map(statistics.median, zip(*pairs))
    print(f"median: {first:.4f} s and {second:.4f} s: {100 * second / first:.1f} %")


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
            same = throughput(Client(server.url), options)
        first_tokens(options, package, f"{folder}/log")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
