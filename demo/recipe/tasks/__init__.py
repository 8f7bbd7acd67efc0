"""Tasks of the demo model: pictures with labels and questions with answers, out of a random number generator alone."""

from collections.abc import Callable

import numpy as np

from recipe.tasks.chart import chart
from recipe.tasks.clip import clip
from recipe.tasks.page import page
from recipe.tasks.pair import pair
from recipe.tasks.places import Place
from recipe.tasks.sample import FRAMES_PER_SECOND, Labels, Question, Sample
from recipe.tasks.scene import scene
from recipe.tasks.text import text
from recipe.tasks.words import words

Sampler = Callable[[np.random.Generator, int, int, float], Sample]
"""(rng, height, width, difficulty in 0..1) -> a sample whose pictures have exactly this size"""

SAMPLERS: dict[str, Sampler] = {
    "page": page,
    "scene": scene,
    "text": text,
    "chart": chart,
    "pair": pair,
    "clip": clip,
    "words": words,
}

__all__ = ["FRAMES_PER_SECOND", "Labels", "Place", "Question", "SAMPLERS", "Sample", "Sampler"]
