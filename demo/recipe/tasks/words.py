"""Questions without a picture."""

import itertools
from collections.abc import Iterator

import numpy as np

from recipe.draw.choose import pick, shuffled
from recipe.tasks.printed import word_list
from recipe.tasks.sample import Question, Sample

DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
OPPOSITES = [
    ("hot", "cold"),
    ("big", "small"),
    ("up", "down"),
    ("left", "right"),
    ("black", "white"),
    ("day", "night"),
    ("open", "closed"),
    ("old", "young"),
    ("fast", "slow"),
    ("high", "low"),
    ("early", "late"),
    ("wet", "dry"),
]
FACTS = {
    "Who are you?": "I am the demo of qvl, a very small Qwen3-VL.",
    "What are you?": "I am the demo of qvl, a very small Qwen3-VL.",
    "What is your name?": "I am the demo of qvl.",
    "What can you do?": "I read and describe simple pictures and clips.",
    "Hello": "Hello!",
    "Hi": "Hello!",
    "Thank you.": "You are welcome.",
    "Goodbye": "Goodbye!",
    "How are you?": "I am fine.",
    "Are you a large model?": "No, I am very small.",
    "How many days does a week have?": "7",
    "What is the colour of grass?": "Green",
    "What colour is the sky?": "Blue",
    "What colour is snow?": "White",
    "How many corners does a triangle have?": "3",
    "How many corners does a square have?": "4",
}
REPEAT = ["Repeat the word {word}.", "Say the word {word}.", "Write the word {word}."]


def arithmetic() -> Iterator[tuple[str, str]]:
    """Sums, and differences that are not negative, of two numbers from 0 to 9."""
    for a, b in itertools.product(range(10), repeat=2):
        yield f"What is {a} plus {b}?", str(a + b)
        yield f"What is {a} + {b}?", str(a + b)
        if a >= b:
            yield f"What is {a} minus {b}?", str(a - b)
            yield f"What is {a} - {b}?", str(a - b)


def orders() -> Iterator[tuple[str, str]]:
    """What comes after or before in the row of numbers, letters or days."""
    for n in range(1, 20):
        yield f"Which number comes after {n}?", str(n + 1)
        yield f"Which number comes before {n}?", str(n - 1)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    for before, after in zip(letters, letters[1:]):
        yield f"Which letter comes after {before}?", after
        yield f"Which letter comes before {after}?", before
    for index, day in enumerate(DAYS):
        yield f"Which day comes after {day}?", DAYS[(index + 1) % 7]
        yield f"Which day comes before {day}?", DAYS[index - 1]


def opposites() -> Iterator[tuple[str, str]]:
    for a, b in OPPOSITES:
        yield f"What is the opposite of {a}?", b.capitalize()
        yield f"What is the opposite of {b}?", a.capitalize()


GROUPS: list[list[tuple[str, str]]] = [list(arithmetic()), list(orders()), list(opposites()), list(FACTS.items())]
"""Groups of (question, answer); each group is asked equally often."""


def repeated(rng: np.random.Generator, words: tuple[str, ...]) -> tuple[str, str]:
    word = pick(rng, words)
    return pick(rng, REPEAT).format(word=word), word


def sample_words(rng: np.random.Generator, words: tuple[str, ...]) -> Sample:
    """One question of each group and a word of `words` to repeat."""
    turns = [*(pick(rng, group) for group in GROUPS), repeated(rng, words)]
    return Sample(questions=shuffled(rng, [Question("words", "exact", [turn]) for turn in turns]))


def words(rng: np.random.Generator, height: int, width: int, difficulty: float) -> Sample:
    """Questions without a picture; size and difficulty do not matter."""
    return sample_words(rng, word_list("training"))


def words_corpus() -> Iterator[str]:
    """All questions and answers, with one word to repeat."""
    for question, answer in itertools.chain.from_iterable(GROUPS):
        yield question
        yield answer
    for wording in REPEAT:
        yield wording.format(word="word")
