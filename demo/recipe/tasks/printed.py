"""What is printed in pictures: words, numbers and random letters."""

import functools
import pathlib
from dataclasses import dataclass

import numpy as np

from recipe.draw.choose import between, chance, pick

FOLDER = pathlib.Path(__file__).parent
LETTERS = "abcdefghijkmnopqrstuvwxyz"
"""letters of random strings; without l, which looks like I"""
CLEAR = frozenset("abdefghjmnqrt")
"""letters that look like no other letter or digit, and whose small and capital forms differ in more than size"""


@functools.cache
def word_list(name: str) -> tuple[str, ...]:
    """Words of 2 to 8 small letters; `training` or `heldout`. No word is in both."""
    return tuple((FOLDER / f"words_{name}.txt").read_text().split())


@functools.cache
def heldout_words() -> frozenset[str]:
    return frozenset(word_list("heldout"))


@dataclass(frozen=True)
class Printer:
    """Where printed words come from."""

    words: tuple[str, ...]
    random_share: float
    """part of the words that are random letters"""
    avoid: frozenset[str] = frozenset()
    """small-letter words that random letters never form"""


def training_printer() -> Printer:
    """Half words of the training list, half random letters, never a held-out word."""
    return Printer(word_list("training"), 0.5, heldout_words())


def random_letters(rng: np.random.Generator, length: int, avoid: frozenset[str]) -> str:
    """Small letters that show their case: at least one of CLEAR."""
    while True:
        text = "".join(pick(rng, LETTERS) for _ in range(length))
        if text not in avoid and not CLEAR.isdisjoint(text):
            return text


def number(rng: np.random.Generator, longest: int) -> str:
    """One to four digits; one digit is never 0 or 1, which look like letters."""
    length = between(rng, 1, min(4, longest))
    first = pick(rng, "23456789" if length == 1 else "123456789")
    return first + "".join(pick(rng, "0123456789") for _ in range(length - 1))


def in_case(rng: np.random.Generator, word: str) -> str:
    """The word in small letters, in capitals or with a first capital."""
    style = pick(rng, ["lower", "upper", "title"])
    if style == "upper" and word.isalpha():
        return word.upper()
    return word.capitalize() if style == "title" else word


def printed_word(rng: np.random.Generator, longest: int, printer: Printer) -> str:
    """A word, number or random string of at most `longest` (1 or more) characters."""
    if chance(rng, 0.2):
        return number(rng, longest)
    if longest < 2 or chance(rng, printer.random_share):
        return in_case(rng, random_letters(rng, between(rng, 1, min(8, longest)), printer.avoid))
    while True:
        word = pick(rng, printer.words)
        if len(word) <= longest:
            return in_case(rng, word)
