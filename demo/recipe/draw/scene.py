"""Scenes: shapes side by side on a background."""

from dataclasses import dataclass

import numpy as np

from recipe.draw.background import Background, random_background
from recipe.draw.canvas import Box, Canvas, Format
from recipe.draw.choose import between, chance, pick, uniform
from recipe.draw.colours import COLOURS, Rgb, shade_against
from recipe.draw.masks import Mask
from recipe.draw.shapes import SHAPES, angles, shape_mask

GAP = 0.03
"""least gap between two shapes, in parts of the shorter side"""
APART = 0.05
"""least distance of two centres in x, in parts of the width: descriptions go from left to right"""
ALIKE = 0.25
"""part of the things that take their shape, and part of those that take their colour, from another one"""
SMALLEST = 14
"""least size of a shape in final pixels"""


@dataclass(frozen=True)
class Thing:
    """A shape at its place."""

    shape: str
    colour: str
    rgb: Rgb
    size: int
    """longer side in native pixels"""
    angle: int
    x: int
    y: int
    """upper left corner in native pixels"""

    @property
    def mask(self) -> Mask:
        return shape_mask(self.shape, self.size, self.angle)

    @property
    def box(self) -> Box:
        """Tight outline in native pixels."""
        mask = self.mask
        return (self.x, self.y, self.x + mask.width, self.y + mask.height)

    @property
    def centre(self) -> tuple[float, float]:
        box = self.box
        return ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)

    @property
    def name(self) -> str:
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True)
class Scene:
    """A background and things on it that do not touch, from left to right by their centres."""

    form: Format
    background: Background
    things: list[Thing]


def collides(thing: Thing, others: list[Thing], form: Format, apart: float = APART) -> bool:
    """True if the thing comes too near to another one, or two centres are too near in x to be put in order."""
    gap, apart = GAP * form.side, apart * form.native_width
    x0, y0, x1, y1 = thing.box
    for other in others:
        u0, v0, u1, v1 = other.box
        if x0 < u1 + gap and u0 < x1 + gap and y0 < v1 + gap and v0 < y1 + gap:
            return True
        if abs(thing.centre[0] - other.centre[0]) < apart:
            return True
    return False


def random_size(rng: np.random.Generator, form: Format, difficulty: float, share: float) -> int:
    """Longer side of a thing in native pixels; `share` scales the largest size."""
    largest = (0.47 + 0.25 * (1 - difficulty)) * share
    smallest = min(0.16 + 0.3 * (1 - difficulty), largest)
    return round(max(SMALLEST * form.zoom, uniform(rng, smallest, largest) * form.side))


def random_look(rng: np.random.Generator, background: Background, others: list[Thing]) -> tuple[str, str, Rgb]:
    """Shape, colour and shade of a thing; now and then those of another one, so that there is something to count."""
    shape = pick(rng, others).shape if others and chance(rng, ALIKE) else pick(rng, SHAPES)
    names = [thing.colour for thing in others] if others and chance(rng, ALIKE) else COLOURS
    names = [name for name in names if name != background.name]
    return shape, *shade_against(rng, background.middle, names)


def place(
    rng: np.random.Generator, form: Format, background: Background, others: list[Thing], difficulty: float, wanted: int
) -> Thing | None:
    """One of `wanted` things where there is room for it; None where none was found."""
    shape, colour, rgb = random_look(rng, background, others)
    angle = pick(rng, angles(shape)) if chance(rng, difficulty) else 0
    share, apart = min(1.0, 1.5 / wanted**0.5), min(APART, 0.3 / wanted)
    for attempt in range(12):
        size = random_size(rng, form, difficulty, share if attempt < 6 else 0.7 * share)
        mask = shape_mask(shape, size, angle)
        x = between(rng, 1, form.native_width - mask.width - 1)
        y = between(rng, 1, form.native_height - mask.height - 1)
        thing = Thing(shape, colour, rgb, size, angle, x, y)
        if not collides(thing, others, form, apart):
            return thing
    return None


def random_scene(rng: np.random.Generator, form: Format, difficulty: float, least: int = 1, most: int = 5) -> Scene:
    """A scene of at least one thing; `least` and `most` are wishes, fewer come where there is no room."""
    background = random_background(rng, difficulty)
    wanted = between(rng, least, max(least, round(1 + (most - 1) * difficulty)))
    things: list[Thing] = []
    for _ in range(wanted):
        thing = place(rng, form, background, things, difficulty, wanted)
        if thing is not None:
            things.append(thing)
    return Scene(form, background, sorted(things, key=lambda thing: thing.centre[0]))


def draw_scene(scene: Scene) -> Canvas:
    """The scene as a picture with labels."""
    canvas = Canvas(scene.form, scene.background)
    for thing in scene.things:
        canvas.paste_shape(thing.mask, thing.x, thing.y, thing.rgb, thing.shape, thing.colour)
    return canvas
