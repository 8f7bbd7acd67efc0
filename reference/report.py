"""One line a check, and the count of failures at the end."""

import sys


class Report:
    def __init__(self):
        self.failures = 0

    def check(self, what, ok, detail=""):
        self.failures += not ok
        print(f"{'ok  ' if ok else 'FAIL'} {what}{f'  ({detail})' if detail else ''}", flush=True)

    def finish(self):
        print(f"failures: {self.failures}")
        sys.exit(bool(self.failures))
