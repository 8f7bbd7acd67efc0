"""Names that stand for one thing in the media, and where that thing is.

Before a question can be answered, the thing that it names must be found. The names are learnt as such: see `recipe/dense.py`.
"""

from collections import Counter
from dataclasses import dataclass

from recipe.draw.canvas import Box
from recipe.draw.scene import Thing


@dataclass(frozen=True)
class Place:
    """Where a thing is."""

    picture: int
    """number of the picture, from 0 on"""
    box: Box
    """in 0..1 of that picture"""


def unique(things: list[Thing], attribute: str) -> list[Thing]:
    """The things that no other thing equals in the attribute: shape, colour or name."""
    counts = Counter(getattr(thing, attribute) for thing in things)
    return [thing for thing in things if counts[getattr(thing, attribute)] == 1]


def named(things: list[Thing], places: dict[Thing, Place]) -> dict[str, Place]:
    """What questions and answers about these things call those of them that nothing can be mistaken for."""
    forms = {"name": ["{}"], "shape": ["{}"], "colour": ["{} shape", "{} object", "is {}"]}
    return {
        form.format(getattr(thing, attribute)): places[thing]
        for attribute, wordings in forms.items()
        for thing in unique(things, attribute)
        for form in wordings
    }
