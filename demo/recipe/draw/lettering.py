"""Lines of text, glyph by glyph, so that every character's place is known."""

import math
from dataclasses import dataclass

from recipe.draw.canvas import Box, Canvas
from recipe.draw.colours import Rgb
from recipe.draw.fonts import Glyph, advance, glyph


@dataclass(frozen=True)
class Style:
    """How a line is lettered."""

    face: int
    """index in FONTS"""
    size: int
    """pixels per em, one of SIZES"""
    slant: int
    """degrees by which the line falls, one of SLANTS"""
    colour: str
    rgb: Rgb


@dataclass(frozen=True)
class Placed:
    """A glyph and the upper left corner of its mask."""

    character: str
    glyph: Glyph
    x: int
    y: int


def text_width(text: str, face: int, size: int) -> float:
    """Sum of the advances in pixels."""
    return sum(advance(face, size, character) for character in text)


def set_line(text: str, style: Style, x: float, y: float) -> list[Placed]:
    """The glyphs of a text whose baseline starts at x, y; spaces advance the pen only."""
    turn = math.radians(style.slant)
    step_x, step_y = math.cos(turn), math.sin(turn)
    placed = []
    for character in text:
        if character != " ":
            one = glyph(style.face, style.size, character, style.slant)
            placed.append(Placed(character, one, round(x) + one.left, round(y) + one.top))
        width = advance(style.face, style.size, character)
        x += width * step_x
        y += width * step_y
    return placed


def outline(placed: list[Placed]) -> Box:
    """Tight outline of all glyphs together, in native pixels."""
    return (
        min(p.x for p in placed),
        min(p.y for p in placed),
        max(p.x + p.glyph.mask.width for p in placed),
        max(p.y + p.glyph.mask.height for p in placed),
    )


def paste_word(canvas: Canvas, placed: list[Placed], style: Style) -> None:
    """Pastes the glyphs of one word. Each labels its ink's height by the larger of its ink's width and its advance."""
    word = outline(placed)
    for p in placed:
        mask = p.glyph.mask
        canvas.image.paste(style.rgb, (p.x, p.y, p.x + mask.width, p.y + mask.height), mask.image)
        spare = max(0.0, p.glyph.advance - mask.width) / 2
        area = (p.x - spare, p.y, p.x + mask.width + spare, p.y + mask.height)
        canvas.label_area(area, p.character, style.colour, word)
