"""What a sampler returns: pictures or frames, their labels, and questions about them."""

from dataclasses import dataclass, field

import numpy as np

from recipe.draw.labels import Labels
from recipe.tasks.places import Place

FRAMES_PER_SECOND = 2.0
"""of all clips"""


@dataclass
class Question:
    """A conversation of one or two turns; the last turn is the one that is scored."""

    task: str
    metric: str
    """exact, words, boxes or items"""
    turns: list[tuple[str, str]]
    """(what the user says, reference answer)"""
    it: Place | None = None
    """what "it" stands for: the thing that the last answer is about"""


@dataclass
class Sample:
    """Media and the questions about them; either `pictures` or `frames` is filled, neither for text alone."""

    pictures: list[np.ndarray] = field(default_factory=list)
    """uint8 [H, W, 3] each: one picture, two for pairs"""
    frames: list[np.ndarray] = field(default_factory=list)
    """uint8 [H, W, 3] each: 4, 6 or 8 frames of a clip at FRAMES_PER_SECOND"""
    questions: list[Question] = field(default_factory=list)
    labels: list[Labels] = field(default_factory=list)
    """one per picture"""
    places: dict[str, Place] = field(default_factory=dict)
    """names in the questions and answers that stand for one thing"""
