#!/usr/bin/env python3
"""Mixed load on `qvl serve`: every answer must be the one that the server gives alone, and memory must stay flat.

usage: load.py QVL [--package PACKAGE] [--minutes 20] [--clients 12] [--seed 1]

Some clients stream, some wait, some leave, some send nonsense. What is right is asked first, one request after the other, and where
`qvl run` can be asked the same, it must say the same. Ends with 1 if an answer was wrong, an error was not asked for, or memory grew.
Needs nothing but Python 3.11.
"""

import argparse
import collections
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time

import load_requests
from client import Client
from memory import Memory
from serving import answer_alone, serving

# Of 100 requests; the rest wait for whole answers.
STREAMED, LEAVING, BAD = 35, 10, 15
# Of what was wrong; the count has all.
PRINTED = 20
# Small, so that it is full before memory is watched.
OPTIONS = ("--cache-mib", "64", "--max-queue", "64")


class Tally:
    """What happened, from all clients."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        self.tokens = 0
        self.first = []
        self.wrong = []

    def add(self, kind, tokens=0, first=None):
        with self.lock:
            self.counts[kind] += 1
            self.tokens += tokens
            if first is not None:
                self.first.append(first)

    def blame(self, what):
        with self.lock:
            self.wrong.append(what)
            if len(self.wrong) <= PRINTED:
                print(f"WRONG {what}", flush=True)


def right_answers(client, binary, package):
    """[(request, texts)], asked one after the other; greedy ones about single turns are those of `qvl run` too."""
    turns = load_requests.single_turns()
    known, answered = [], []
    with tempfile.TemporaryDirectory() as folder:
        for prompt, images in turns:
            request = load_requests.of_turn(prompt, images)
            texts, _ = client.whole(request)
            alone = answer_alone(binary, prompt, saved(folder, images), *package, "--max-new-tokens", "64")["text"]
            if texts != [alone]:
                raise SystemExit(f"{prompt}: the server says {texts}, qvl run {alone!r}")
            known.append((request, texts))
            answered.append(((prompt, images), alone))
    for request in [*load_requests.conversations(answered), *load_requests.sampled()]:
        known.append((request, client.whole(request)[0]))
    return known


def saved(folder, images):
    paths = [os.path.join(folder, f"{i}.png") for i in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        with open(path, "wb") as file:
            file.write(image)
    return paths


def one_request(client, chance, known, bad, tally):
    request, right = chance.choice(known)
    dice = chance.randrange(100)
    if dice < STREAMED:
        texts, tokens, first = client.streamed(request)
        tally.add("streamed", tokens, first)
    elif dice < STREAMED + LEAVING:
        client.leave(request, chance.choice([0, 0, 1, 3]))
        return tally.add("left")
    elif dice < STREAMED + LEAVING + BAD:
        body, status, phrase = chance.choice(bad)
        found, message = client.refused(body)
        if found != status or phrase not in message:
            tally.blame(f"{body[:200]}: {found} {message}")
        return tally.add("refused")
    else:
        texts, tokens = client.whole(request)
        tally.add("whole", tokens)
    if texts != right:
        tally.blame(f"{texts}, not {right}")


def keep_asking(url, chance, known, bad, tally, end):
    client = Client(url)
    while time.monotonic() < end:
        try:
            one_request(client, chance, known, bad, tally)
        except Exception as error:
            tally.blame(f"{type(error).__name__}: {error}")


def load(server, arguments, known):
    tally, memory = Tally(), Memory(server.memory, arguments.minutes * 60)
    end = time.monotonic() + arguments.minutes * 60
    bad = load_requests.bad_requests()
    threads = []
    for number in range(arguments.clients):
        chance = random.Random(f"{arguments.seed}/{number}")
        threads.append(threading.Thread(target=keep_asking, args=(server.url, chance, known, bad, tally, end)))
    for thread in threads:
        thread.start()
    memory.watch(end)
    for thread in threads:
        thread.join()
    return tally, memory


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("qvl")
    parser.add_argument("--package")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--seed", default="1")
    arguments = parser.parse_args()
    package = [arguments.package] if arguments.package else []
    with tempfile.TemporaryDirectory() as folder, serving(
        arguments.qvl, os.path.join(folder, "log"), *package, *OPTIONS
    ) as server:
        known = right_answers(Client(server.url), arguments.qvl, package)
        print(f"{len(known)} right answers are known", flush=True)
        tally, memory = load(server, arguments, known)
        code = server.stop()
        if code != 0:
            tally.blame(f"the server ended with {code}: {server.output()[-2000:]}")
    seconds = arguments.minutes * 60
    print(f"requests: {dict(tally.counts)}, {sum(tally.counts.values()) / seconds:.1f} a second")
    print(f"tokens: {tally.tokens}, {tally.tokens / seconds:.1f} a second")
    if tally.first:
        print(
            f"first piece of a stream: median {statistics.median(tally.first):.2f} s, slowest {max(tally.first):.2f} s"
        )
    grown = memory.report()
    print(f"wrong: {len(tally.wrong)}")
    sys.exit(bool(tally.wrong) or grown)


if __name__ == "__main__":
    main()
