#!/usr/bin/env python3
"""Real clients against a running `qvl serve`: every one must get the answers that `qvl run` gives alone.

usage: check_clients.py QVL WORK

Called by `check`, which installs the clients. Each client is a program of its own that prints a line a check; it is told where the
server is and what is right in a JSON file.
"""

import contextlib
import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading

from serving import answer_alone, serving

FOLDER = os.path.dirname(os.path.abspath(__file__))
PICTURES = os.path.join(FOLDER, "..", "..", "examples", "pictures")
KEY = "sk-check"
OPTIONS = ("--api-key", KEY, "--allow-remote-media", "--remote-media-from", "127.0.0.1")

QUESTIONS = {
    "picture": ("Describe the picture.", ["figures.png"]),
    "pair": ("What differs between picture 1 and picture 2?", ["figures.png", "shapes.png"]),
    "text": ("How many corners does a square have?", []),
}


def right_answers(binary):
    """For each question its prompt, its pictures' paths and the answer of `qvl run`."""
    answers = {}
    for name, (prompt, pictures) in QUESTIONS.items():
        paths = [os.path.normpath(os.path.join(PICTURES, picture)) for picture in pictures]
        answers[name] = {"prompt": prompt, "pictures": paths, "answer": answer_alone(binary, prompt, paths)}
    return answers


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def pictures_on_the_network():
    """The address of a web server with the pictures."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=PICTURES)) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{web.server_port}"
        web.shutdown()


def main():
    binary, work = sys.argv[1:]
    told = os.path.join(work, "told.json")
    node = os.path.join(work, "node")
    clients = {
        "openai for Python": [sys.executable, os.path.join(FOLDER, "with_openai.py"), told],
        "openai for Node.js": ["node", os.path.join(node, "with_openai.mjs"), told],
        "AI SDK": ["node", os.path.join(node, "with_ai_sdk.mjs"), told],
        "curl": [shutil.which("bash"), os.path.join(FOLDER, "with_curl"), told, sys.executable],
    }
    failed = []
    with pictures_on_the_network() as web, serving(binary, os.path.join(work, "server.log"), *OPTIONS) as server:
        with open(told, "w", encoding="utf-8") as file:
            json.dump({"url": server.url, "key": KEY, "web": web, **right_answers(binary)}, file)
        for name, command in clients.items():
            print(f"--- {name}", flush=True)
            if subprocess.run(command, stdin=subprocess.DEVNULL).returncode != 0:
                failed.append(name)
        code = server.stop()
        if code != 0:
            failed.append(f"the server ended with {code}:\n{server.output()}")
    print(f"clients that failed: {', '.join(failed) or 'none'}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
