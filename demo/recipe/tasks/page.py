"""Pages: pictures full of characters or shapes, without questions. Their dense labels train the vision tower first."""

import math

import numpy as np

from recipe.draw.background import random_background
from recipe.draw.canvas import Canvas, Format, random_format
from recipe.draw.choose import between, chance, pick, uniform
from recipe.draw.colours import COLOURS, shade_against
from recipe.draw.fonts import FONTS, SLANTS, nearest_size
from recipe.draw.labels import CHARACTERS
from recipe.draw.lettering import Style, advance, paste_word, set_line
from recipe.draw.scene import draw_scene, random_scene
from recipe.tasks.printed import Printer, printed_word, training_printer
from recipe.tasks.sample import Sample
from recipe.tasks.text import CONTRAST

MOST_SHAPES = 12


def page_word(rng: np.random.Generator, printer: Printer) -> str:
    """A word as pictures show it, or any characters in any case."""
    if chance(rng, 0.6):
        return printed_word(rng, 8, printer)
    return "".join(pick(rng, CHARACTERS) for _ in range(between(rng, 1, 6)))


def line_style(rng: np.random.Generator, canvas: Canvas, slant: int, difficulty: float) -> Style:
    """A style of its own for each line; larger letters at low difficulty."""
    colour, rgb = shade_against(rng, canvas.image.getpixel((0, 0)), COLOURS, CONTRAST)
    low, high = 12 + 18 * (1 - difficulty), 36 + 20 * (1 - difficulty)
    size = nearest_size(canvas.form.zoom * math.exp(uniform(rng, math.log(low), math.log(high))))
    return Style(int(rng.random() * len(FONTS)), size, slant, colour, rgb)


def fill_line(rng: np.random.Generator, canvas: Canvas, style: Style, baseline: float, printer: Printer) -> None:
    """Words from left to right until the line is full; characters that do not fit are left out."""
    x = uniform(rng, 0, 0.6 * style.size)
    slope = math.tan(math.radians(style.slant))
    while x < canvas.form.native_width - 0.5 * style.size:
        word = page_word(rng, printer)
        placed = set_line(word, style, x, baseline + slope * x)
        inside = [p for p in placed if 0 <= p.x and p.x + p.glyph.mask.width <= canvas.form.native_width]
        inside = [p for p in inside if 0 <= p.y and p.y + p.glyph.mask.height <= canvas.form.native_height]
        if inside:
            paste_word(canvas, inside, style)
        x += sum(advance(style.face, style.size, c) for c in word) + uniform(rng, 0.3, 0.8) * style.size


def character_page(rng: np.random.Generator, form: Format, difficulty: float) -> Canvas:
    """Lines of characters from top to bottom, all at one slant."""
    canvas = Canvas(form, random_background(rng, difficulty))
    printer = training_printer()
    slant = pick(rng, SLANTS) if chance(rng, 0.6 * difficulty) else 0
    rise = abs(math.tan(math.radians(slant))) * form.native_width
    # A falling line starts above the picture's first line, so that the upper right corner is filled too.
    y = -rise if slant > 0 else 0.0
    while y < form.native_height + (rise if slant < 0 else 0.0):
        style = line_style(rng, canvas, slant, difficulty)
        y += style.size
        fill_line(rng, canvas, style, y, printer)
        y += uniform(rng, 0.15, 0.5) * style.size
    return canvas


def sample_page(rng: np.random.Generator, form: Format, difficulty: float) -> Sample:
    """Characters six times in ten, else shapes."""
    if chance(rng, 0.6):
        canvas = character_page(rng, form, difficulty)
    else:
        canvas = draw_scene(random_scene(rng, form, difficulty, least=round(1 + 5 * difficulty), most=MOST_SHAPES))
    picture, labels = canvas.finish(rng, difficulty)
    return Sample(pictures=[picture], labels=[labels])


def page(rng: np.random.Generator, height: int, width: int, difficulty: float) -> Sample:
    """A full picture of the final size, without questions."""
    return sample_page(rng, random_format(rng, height, width), difficulty)
