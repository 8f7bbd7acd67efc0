"""Reading: one to three lines, one word or number each."""

import math

import numpy as np

from recipe.draw.background import random_background
from recipe.draw.canvas import Canvas, Format, random_format
from recipe.draw.choose import between, chance, pick, shuffled, uniform
from recipe.draw.colours import COLOURS, Rgb, shade_against
from recipe.draw.fonts import FONTS, SLANTS, nearest_size
from recipe.draw.lettering import Style, outline, paste_word, set_line, text_width
from recipe.tasks.phrases import ask
from recipe.tasks.printed import Printer, printed_word, training_printer
from recipe.tasks.sample import Question, Sample

SMALLEST = 20
"""least size in final pixels per em: capitals are then 14 pixels high"""
LARGEST = 67
CONTRAST = 55.0
"""least difference in luminance of text and background, of 255"""
SPACING = 1.25
"""distance of two baselines in ems"""
WIDE = 0.72
"""width of a wide letter in ems, to bound the length of words"""


def text_style(rng: np.random.Generator, background: Rgb, difficulty: float) -> Style:
    """A style without its size."""
    colour, rgb = shade_against(rng, background, COLOURS, CONTRAST)
    slant = pick(rng, SLANTS) if chance(rng, 0.6 * difficulty) else 0
    return Style(int(rng.random() * len(FONTS)), 0, slant, colour, rgb)


def fitting_size(lines: list[str], style: Style, form: Format) -> int:
    """The largest size at which the lines fit into 92 % of the picture."""
    turn = math.radians(abs(style.slant))
    em = 100.0
    length = max(text_width(line, style.face, 105) for line in lines) * em / 105
    block = (len(lines) - 1) * SPACING * em + 1.1 * em
    across = (length * math.cos(turn) + block * math.sin(turn)) / em
    down = (length * math.sin(turn) + block * math.cos(turn)) / em
    return nearest_size(0.92 * min(form.native_width / across, form.native_height / down))


def random_lines(rng: np.random.Generator, form: Format, difficulty: float, printer: Printer) -> list[str]:
    """Lines that are likely to fit into the picture at the smallest size."""
    letters = max(1, int(0.92 * form.width / (SMALLEST * WIDE)))
    longest = min(8, letters) if chance(rng, difficulty) else min(3, letters)
    most = min(3, int(0.85 * form.height / (SMALLEST * SPACING)))
    count = between(rng, 1, max(1, round(1 + (most - 1) * difficulty)))
    return [printed_word(rng, longest, printer) for _ in range(count)]


def fitting_lines(
    rng: np.random.Generator, form: Format, style: Style, difficulty: float, printer: Printer
) -> tuple[list[str], int]:
    """Lines and the largest size at which they fit, which is at least the smallest size."""
    while True:
        lines = random_lines(rng, form, difficulty, printer)
        largest = fitting_size(lines, style, form)
        if largest >= nearest_size(SMALLEST * form.zoom):
            return lines, largest


def random_text_size(rng: np.random.Generator, largest: int, form: Format, difficulty: float) -> int:
    """A size between the smallest and what fits; large ones at difficulty 0."""
    low, high = SMALLEST * form.zoom, min(largest, LARGEST * form.zoom)
    easy = uniform(rng, 0.75, 1.0) * high
    wanted = easy + difficulty * (uniform(rng, low, max(low, high)) - easy)
    return min(largest, nearest_size(max(wanted, low)))


def paste_lines(rng: np.random.Generator, canvas: Canvas, lines: list[str], style: Style) -> None:
    """Pastes the lines one under the other, left-aligned, at a random place inside of the picture."""
    turn = math.radians(style.slant)
    down = SPACING * style.size
    placed = [
        set_line(line, style, -math.sin(turn) * down * row, math.cos(turn) * down * row)
        for row, line in enumerate(lines)
    ]
    x0, y0, x1, y1 = outline([p for line in placed for p in line])
    left = between(rng, 1, max(1, canvas.form.native_width - 1 - (x1 - x0))) - x0
    top = between(rng, 1, max(1, canvas.form.native_height - 1 - (y1 - y0))) - y0
    for line in placed:
        paste_word(canvas, [type(p)(p.character, p.glyph, p.x + left, p.y + top) for p in line], style)


def text_questions(rng: np.random.Generator, lines: list[str], style: Style) -> list[Question]:
    questions = [
        Question("read", "words", [(ask(rng, "read"), "\n".join(lines))]),
        Question("count", "exact", [(ask(rng, "lines"), str(len(lines)))]),
        Question("colour", "exact", [(ask(rng, "text_colour"), style.colour.capitalize())]),
    ]
    return shuffled(rng, questions)


def sample_text(rng: np.random.Generator, form: Format, difficulty: float, printer: Printer) -> Sample:
    """A picture with text and its questions."""
    background = random_background(rng, difficulty)
    style = text_style(rng, background.middle, difficulty)
    lines, largest = fitting_lines(rng, form, style, difficulty, printer)
    size = random_text_size(rng, largest, form, difficulty)
    style = Style(style.face, size, style.slant, style.colour, style.rgb)
    canvas = Canvas(form, background)
    paste_lines(rng, canvas, lines, style)
    picture, labels = canvas.finish(rng, difficulty)
    return Sample(pictures=[picture], labels=[labels], questions=text_questions(rng, lines, style))


def text(rng: np.random.Generator, height: int, width: int, difficulty: float) -> Sample:
    """A picture of the final size with words, numbers and random letters of training."""
    return sample_text(rng, random_format(rng, height, width), difficulty, training_printer())
