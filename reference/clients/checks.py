"""A list of checks, each a function with a sentence as its documentation; one that raises has failed."""

import os
import sys
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from report import Report

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def run_all(*arguments):
    report = Report()
    for function in CHECKS:
        try:
            function(*arguments)
            report.check(function.__doc__, True)
        except Exception as error:
            report.check(function.__doc__, False, f"{type(error).__name__}: {error}")
            traceback.print_exc()
    report.finish()


def equal(found, expected):
    if found != expected:
        raise AssertionError(f"{found!r}, not {expected!r}")
