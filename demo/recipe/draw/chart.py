"""Bar charts: coloured bars on a baseline, a letter under each."""

from dataclasses import dataclass

import numpy as np

from recipe.draw.background import random_background
from recipe.draw.canvas import Box, Canvas, Format
from recipe.draw.choose import between, shuffled, uniform
from recipe.draw.colours import COLOURS, Rgb, luminance, shade, shade_against
from recipe.draw.fonts import FONTS, nearest_size
from recipe.draw.lettering import Style, outline, paste_word, set_line

CLEARLY = 0.12
"""least difference of the two highest and of the two lowest bars, in parts of the largest height"""
LETTERS = "ABCDE"


@dataclass(frozen=True)
class Bar:
    """A bar and what stands under it."""

    letter: str
    colour: str
    rgb: Rgb
    height: float
    """part of the largest height, 0..1"""


def clear_heights(rng: np.random.Generator, count: int) -> list[float]:
    """Heights of 0.15 to 1 in a random order; only the middle ones may be about equal."""
    while True:
        heights = sorted(uniform(rng, 0.15, 1.0) for _ in range(count))
        if heights[-1] - heights[-2] >= CLEARLY and heights[1] - heights[0] >= CLEARLY:
            return shuffled(rng, heights)


def random_bars(rng: np.random.Generator, background: Rgb, avoid: str, difficulty: float) -> list[Bar]:
    """Two to five bars, no two of one colour, none of the background's colour `avoid`."""
    count = between(rng, 2, max(2, round(2 + 3 * difficulty)))
    names = [name for name in COLOURS if name != avoid]
    bars = []
    for letter, height in zip(LETTERS, clear_heights(rng, count)):
        colour, rgb = shade_against(rng, background, names)
        names.remove(colour)
        bars.append(Bar(letter, colour, rgb, height))
    return bars


def draw_chart(rng: np.random.Generator, form: Format, difficulty: float) -> tuple[Canvas, list[Bar]]:
    """A chart that fills most of the picture."""
    background = random_background(rng, difficulty)
    canvas = Canvas(form, background)
    bars = random_bars(rng, background.middle, background.name, difficulty)
    width, height = form.native_width, form.native_height
    left, right = uniform(rng, 0.03, 0.12) * width, uniform(rng, 0.88, 0.97) * width
    slot = (right - left) / len(bars)
    size = nearest_size(min(max(18 * form.zoom, 0.14 * form.side), 0.9 * slot))
    baseline = round(height - size * uniform(rng, 1.1, 1.5))
    top = uniform(rng, 0.04, 0.2) * height
    ink = "black" if luminance(background.middle) > 110 else "white"
    style = Style(int(rng.random() * len(FONTS)), size, 0, ink, shade(rng, ink))
    thickness = uniform(rng, 0.5, 0.85) * slot
    for index, bar in enumerate(bars):
        middle = left + (index + 0.5) * slot
        x0, x1 = round(middle - thickness / 2), round(middle + thickness / 2)
        y0 = round(baseline - bar.height * (baseline - top))
        paste_bar(canvas, (x0, y0, x1, baseline), bar)
        paste_letter(canvas, bar.letter, middle, baseline, style)
    line = max(1, round(0.012 * form.side))
    canvas.image.paste(style.rgb, (round(left), baseline, round(right), baseline + line))
    return canvas, bars


def paste_bar(canvas: Canvas, box: Box, bar: Bar) -> None:
    canvas.image.paste(bar.rgb, box)
    canvas.label_area(box, "bar", bar.colour, box)


def paste_letter(canvas: Canvas, letter: str, middle: float, baseline: int, style: Style) -> None:
    """Centres the letter under the bar."""
    placed = set_line(letter, style, 0, 0)
    x0, y0, x1, _ = outline(placed)
    pen_x, pen_y = middle - (x0 + x1) / 2, baseline + 0.2 * style.size - y0
    paste_word(canvas, set_line(letter, style, pen_x, round(pen_y)), style)
