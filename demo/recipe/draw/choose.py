"""Random choices from one float each: a scalar call of `Generator.integers` takes ten times as long."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def pick(rng: np.random.Generator, items: Sequence[T]) -> T:
    """One of `items`, all equally likely."""
    return items[int(rng.random() * len(items))]


def between(rng: np.random.Generator, low: int, high: int) -> int:
    """A whole number in low..=high."""
    return low + int(rng.random() * (high - low + 1))


def uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number in low..high."""
    return low + rng.random() * (high - low)


def chance(rng: np.random.Generator, probability: float) -> bool:
    """True with the given probability."""
    return rng.random() < probability


def shuffled(rng: np.random.Generator, items: Sequence[T]) -> list[T]:
    """The items in a random order."""
    return [items[i] for i in rng.permutation(len(items))]
