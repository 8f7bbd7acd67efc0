"""The stream of training batches: batch i is made from the seed and i alone, so training can stop and go on anywhere."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from recipe.architecture import SIDE
from recipe.batched import Batch
from recipe.dense import by_patch
from recipe.encode import Encoder, encode
from recipe.tasks import SAMPLERS, Question

SIDES = range(2, 9)
"""Sides of a picture, in units of 32 pixels."""
AREAS = (6, 36)
"""Least and greatest area of a picture in units of 32 x 32 pixels; a few are larger."""
PIXELS = 48 * 16
"""Area of all pictures of a batch, in units of 32 x 32 pixels."""


@dataclass(frozen=True)
class Mixture:
    """What the steps of a phase are made of."""

    shares: dict[str, float]
    """Of the samplers."""
    density: dict[str, float]
    """How many samples a batch has for its pictures' area: fewer where there are many questions. 1 where nothing is said."""
    budget: dict[str, int]
    """Tokens of all questions about a sample that are trained at once."""
    most: int | None = None
    """Questions about a sample, at most."""
    weights: dict[str, float] | None = None
    """How likely the questions of a task come first, and so within the budget; 1 for others, and for all if there are none."""


DENSE = Mixture(
    shares={"page": 0.7, "text": 0.1, "scene": 0.15, "chart": 0.05},
    density={"scene": 0.66, "text": 1.6, "chart": 0.8, "page": 1.2},
    budget={},
)
"""While the tower alone learns, from dense labels."""
JOINT = Mixture(
    shares={"scene": 0.34, "text": 0.28, "chart": 0.1, "pair": 0.13, "clip": 0.09, "words": 0.03, "page": 0.03},
    density={"scene": 0.8, "chart": 0.8, "pair": 0.8, "page": 1.2},
    budget={"scene": 160, "text": 96, "chart": 144, "pair": 144, "clip": 72, "words": 80},
    most=10,
)
"""While the whole model learns."""
LATE = Mixture(
    shares={"scene": 0.38, "text": 0.33, "chart": 0.05, "pair": 0.13, "clip": 0.06, "words": 0.03, "page": 0.02},
    density={"scene": 0.7, "text": 1.4, "chart": 0.8, "pair": 0.8, "page": 1.2},
    budget={"scene": 224, "text": 96, "chart": 144, "pair": 144, "clip": 72, "words": 80},
    weights={
        "box": 3,
        "followup_box": 3,
        "position": 4,
        "describe": 2,
        "followup_items": 2,
        "count": 2,
        "read": 3,
        "colour": 0.5,
        "shape": 0.5,
        "followup": 0.5,
    },
)
"""Once colours, shapes and charts are known: more of reading, places and lists, which are learnt last."""
LAST = replace(
    LATE,
    shares={"scene": 0.35, "text": 0.33, "chart": 0.05, "pair": 0.14, "clip": 0.06, "words": 0.02, "page": 0.05},
)
"""While names are learnt as such: more pairs, too."""


@dataclass
class Step:
    """What one step learns from."""

    kind: str
    batch: Batch | None
    """Absent where only dense labels are learnt."""
    pixels: Tensor
    labels: tuple[Tensor, Tensor, Tensor] | None
    """Dense labels by patch; absent for clips and text-only questions."""


class Steps(Dataset):
    """Step i of a phase; the difficulty rises from 0 to 1 over the first `easy` steps.

    Without an encoder there are no questions, only pictures with dense labels.
    """

    def __init__(self, encoder: Encoder | None, seed: int, mixture: Mixture, first: int, last: int, easy: int):
        self.encoder, self.seed, self.mixture = encoder, seed, mixture
        self.first, self.last, self.easy = first, last, easy

    def __len__(self) -> int:
        return self.last - self.first

    def __getitem__(self, index: int) -> Step:
        number = self.first + index
        rng = np.random.default_rng([self.seed, number])
        shares = self.mixture.shares
        kind = str(rng.choice(list(shares), p=np.array(list(shares.values())) / sum(shares.values())))
        height, width = size(rng)
        units = int(rng.integers(2, 5)) if kind == "clip" else 2 if kind == "pair" else 1
        count = (
            64
            if kind == "words"
            else max(4, round(self.mixture.density.get(kind, 1.0) * PIXELS / (height * width / SIDE**2) / units))
        )
        # Kept below the ramp by up to half, so that easy samples never go away altogether.
        ramp = min(1.0, number / self.easy) if self.easy else 1.0
        hard = ramp * (1 - 0.5 * rng.random(count) ** 2)
        samples = [self.sample(rng, kind, height, width, difficulty, units) for difficulty in hard]
        labels = by_patch([one for s in samples for one in s.labels]) if samples[0].labels else None
        if self.encoder is None or kind == "page":
            pixels = torch.from_numpy(np.stack([s.pictures[0][None] for s in samples]))
            return Step(kind, None, pixels, labels)
        for one in samples:
            one.questions = chosen(rng, one.questions, self.mixture)
        batch = encode(self.encoder, samples, self.mixture.budget[kind])
        return Step(kind, batch, batch.pixels, labels)

    def sample(self, rng, kind: str, height: int, width: int, difficulty: float, units: int):
        """One sample; clips of a batch have the same number of frames."""
        while True:
            sample = SAMPLERS[kind](rng, height, width, difficulty)
            if kind != "clip" or len(sample.frames) == 2 * units:
                return sample


def chosen(rng: np.random.Generator, questions: list[Question], mixture: Mixture) -> list[Question]:
    """The first questions, after those of heavy tasks were drawn to the front."""
    if mixture.weights:
        # The order of draws without replacement (Efraimidis and Spirakis 2006).
        keys = [rng.random() ** (1 / mixture.weights.get(question.task, 1.0)) for question in questions]
        questions = [questions[i] for i in np.argsort(keys)[::-1]]
    return questions[: mixture.most]


def size(rng: np.random.Generator) -> tuple[int, int]:
    """Height and width in pixels: any aspect, mostly small."""
    while True:
        rows, columns = (int(rng.choice(SIDES)) for _ in range(2))
        area = rows * columns
        if AREAS[0] <= area <= AREAS[1] and rng.random() < math.exp(-max(0, area - 16) / 10):
            return rows * SIDE, columns * SIDE


def loader(steps: Steps, workers: int) -> DataLoader:
    """The steps in order, drawn by `workers` processes ahead of the training."""
    return DataLoader(
        steps, batch_size=None, shuffle=False, num_workers=workers, prefetch_factor=4 if workers else None
    )
