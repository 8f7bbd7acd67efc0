"""Questions about a bar chart."""

import numpy as np

from recipe.draw.canvas import Format, random_format
from recipe.draw.chart import Bar, draw_chart
from recipe.draw.choose import pick, shuffled
from recipe.tasks.phrases import ask
from recipe.tasks.sample import Question, Sample


def chart_questions(rng: np.random.Generator, bars: list[Bar]) -> list[Question]:
    highest, lowest = max(bars, key=lambda bar: bar.height), min(bars, key=lambda bar: bar.height)
    first, second = pick(rng, bars), pick(rng, bars)
    turns = [
        (ask(rng, "highest"), highest.colour.capitalize()),
        (ask(rng, "lowest"), lowest.colour.capitalize()),
        (ask(rng, "highest_letter"), highest.letter),
        (ask(rng, "lowest_letter"), lowest.letter),
        (ask(rng, "bars"), str(len(bars))),
        (ask(rng, "bar_colour", letter=first.letter), first.colour.capitalize()),
        (ask(rng, "bar_letter", colour=second.colour), second.letter),
    ]
    return shuffled(rng, [Question("chart", "exact", [turn]) for turn in turns])


def sample_chart(rng: np.random.Generator, form: Format, difficulty: float) -> Sample:
    """A chart of two to five bars with its questions."""
    canvas, bars = draw_chart(rng, form, difficulty)
    picture, labels = canvas.finish(rng, difficulty)
    return Sample(pictures=[picture], labels=[labels], questions=chart_questions(rng, bars))


def chart(rng: np.random.Generator, height: int, width: int, difficulty: float) -> Sample:
    """A chart of the final size."""
    return sample_chart(rng, random_format(rng, height, width), difficulty)
