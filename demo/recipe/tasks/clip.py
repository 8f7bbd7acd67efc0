"""Clips in which one shape moves."""

from dataclasses import replace

import numpy as np

from recipe.draw.background import Background
from recipe.draw.canvas import Format, native_format
from recipe.draw.choose import between, chance, pick, shuffled, uniform
from recipe.draw.colours import COLOURS, background_shade, shade_against
from recipe.draw.scene import GAP, SMALLEST, Scene, Thing, draw_scene
from recipe.draw.shapes import SHAPES, angles, shape_mask
from recipe.tasks.phrases import ask
from recipe.tasks.sample import Question, Sample

WAYS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
"""the four ways as steps of x and y"""
LENGTHS = [4, 6, 8]
"""numbers of frames"""
SHORTEST_WAY = 0.3
"""least way from the first frame to the last one, in parts of the side along which the shape moves"""
LARGEST = 0.35
"""largest size of a shape, in parts of the shorter side"""


def flat_background(rng: np.random.Generator) -> Background:
    name = "white" if chance(rng, 0.4) else pick(rng, COLOURS)
    rgb = background_shade(rng, name)
    return Background(name, rgb, rgb, (0.0, 0.0))


def random_thing(rng: np.random.Generator, form: Format, background: Background, shapes: list[str]) -> Thing:
    """A thing in the upper left corner, of one of the shapes."""
    shape = pick(rng, shapes)
    colour, rgb = shade_against(rng, background.start, [name for name in COLOURS if name != background.name])
    size = round(max(SMALLEST, uniform(rng, 0.18, LARGEST) * form.side))
    return Thing(shape, colour, rgb, size, pick(rng, angles(shape)), 0, 0)


def path(rng: np.random.Generator, form: Format, thing: Thing, way: str, frames: int) -> list[Thing]:
    """The thing in every frame: evenly along a straight line that stays within the picture."""
    step_x, step_y = WAYS[way]
    room_x, room_y = form.native_width - thing.mask.width, form.native_height - thing.mask.height
    room = room_x if step_x else room_y
    side = form.native_width if step_x else form.native_height
    length = uniform(rng, min(SHORTEST_WAY * side, room), room)
    # The thing starts at `length` when it comes back along the axis, and at 0 else; the rest of the room shifts both.
    offset = uniform(rng, 0, room - length)
    across = between(rng, 0, room_y if step_x else room_x)
    places = [round(offset + length * i / (frames - 1)) for i in range(frames)]
    if step_x + step_y < 0:
        places.reverse()
    return [replace(thing, x=p, y=across) if step_x else replace(thing, x=across, y=p) for p in places]


def is_free(thing: Thing, swept: list[Thing], others: list[Thing], form: Format) -> bool:
    """True if the thing touches neither the way of the moving one nor another one."""
    gap = GAP * form.side
    x0, y0, x1, y1 = thing.box
    for other in [*swept, *others]:
        u0, v0, u1, v1 = other.box
        if x0 < u1 + gap and u0 < x1 + gap and y0 < v1 + gap and v0 < y1 + gap:
            return False
    return True


def bystanders(
    rng: np.random.Generator, form: Format, background: Background, moving: list[Thing], wanted: int
) -> list[Thing]:
    """At most `wanted` things beside the way, each of a shape of its own."""
    others: list[Thing] = []
    for _ in range(wanted):
        taken = {moving[0].shape, *(other.shape for other in others)}
        thing = random_thing(rng, form, background, [shape for shape in SHAPES if shape not in taken])
        mask = shape_mask(thing.shape, thing.size, thing.angle)
        for _ in range(8):
            x = between(rng, 0, form.native_width - mask.width)
            y = between(rng, 0, form.native_height - mask.height)
            if is_free(replace(thing, x=x, y=y), moving, others, form):
                others.append(replace(thing, x=x, y=y))
                break
    return others


def sample_clip(rng: np.random.Generator, form: Format, difficulty: float) -> Sample:
    """A clip without noise or gradients: it has at most 52 colours, so that a GIF of it loses nothing."""
    background = flat_background(rng)
    way = pick(rng, list(WAYS))
    thing = random_thing(rng, form, background, SHAPES)
    moving = path(rng, form, thing, way, pick(rng, LENGTHS))
    others = bystanders(rng, form, background, moving, between(rng, 0, round(2 * difficulty)))
    frames = [np.asarray(draw_scene(Scene(form, background, [*others, place])).image) for place in moving]
    turns = [
        (ask(rng, "motion", shape=thing.shape), way.capitalize()),
        (ask(rng, "mover"), thing.shape.capitalize()),
        (ask(rng, "mover_colour"), thing.colour.capitalize()),
    ]
    questions = shuffled(rng, [Question("motion", "exact", [turn]) for turn in turns])
    return Sample(frames=frames, questions=questions)


def clip(rng: np.random.Generator, height: int, width: int, difficulty: float) -> Sample:
    """A clip of the final size."""
    return sample_clip(rng, native_format(height, width), difficulty)
