"""Masks of the eight shapes."""

import functools
import math

import numpy as np
from PIL import Image, ImageDraw

from recipe.draw.masks import Mask

SHAPES = ["circle", "square", "triangle", "star", "diamond", "cross", "ring", "heart"]
ANGLES = {"circle": [0], "ring": [0], "diamond": [-6, -3, 0, 3, 6], "square": [-8, -4, 0, 4, 8]}
"""Angles in degrees that leave the shape what it is; those not named take TURNS."""
TURNS = [-14, -7, 0, 7, 14]
OVERSAMPLING = 4


def angles(shape: str) -> list[int]:
    """The angles, in degrees, at which the shape is drawn."""
    return ANGLES.get(shape, TURNS)


def ellipse(radius: float = 1.0) -> list[tuple[float, float]]:
    turn = [2 * math.pi * i / 96 for i in range(96)]
    return [(radius * math.cos(t), radius * math.sin(t)) for t in turn]


def star() -> list[tuple[float, float]]:
    corners = [(1.0 if i % 2 == 0 else 0.42, math.pi * (i / 5 - 0.5)) for i in range(10)]
    return [(r * math.cos(t), r * math.sin(t)) for r, t in corners]


def cross(arm: float = 0.33) -> list[tuple[float, float]]:
    quarter = [(arm, -1), (arm, -arm), (1, -arm)]
    points = []
    for _ in range(4):
        points += quarter
        quarter = [(-y, x) for x, y in quarter]
    return points


def heart() -> list[tuple[float, float]]:
    turn = [2 * math.pi * i / 96 for i in range(96)]
    return [
        (16 * math.sin(t) ** 3, -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)))
        for t in turn
    ]


def outline(shape: str) -> list[tuple[float, float]]:
    """The corners of the shape's outline, upright, in units of its own."""
    match shape:
        case "circle" | "ring":
            return ellipse()
        case "square":
            return [(-1, -1), (1, -1), (1, 1), (-1, 1)]
        case "triangle":
            return [(0, -1), (1.1, 0.9), (-1.1, 0.9)]
        case "star":
            return star()
        case "diamond":
            return [(0, -1), (0.72, 0), (0, 1), (-0.72, 0)]
        case "cross":
            return cross()
        case "heart":
            return heart()
    raise ValueError(f"there is no shape {shape!r}; the shapes are {', '.join(SHAPES)}")


@functools.lru_cache(maxsize=20_000)
def shape_mask(shape: str, size: int, angle: int) -> Mask:
    """The mask of a shape whose longer side is `size` pixels, turned clockwise by `angle` degrees."""
    turn = math.radians(angle)
    points = np.array(outline(shape)) @ np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    low, high = points.min(0), points.max(0)
    points = (points - low) * (size / (high - low).max())
    width, height = np.ceil(points.max(0) - 0.25).astype(int)
    image = Image.new("L", (int(width) * OVERSAMPLING, int(height) * OVERSAMPLING))
    draw = ImageDraw.Draw(image)
    draw.polygon([(x * OVERSAMPLING - 0.5, y * OVERSAMPLING - 0.5) for x, y in points], fill=255)
    if shape == "ring":
        hole = [((x * 0.56 + 1) * size / 2, (y * 0.56 + 1) * size / 2) for x, y in ellipse()]
        draw.polygon([(x * OVERSAMPLING - 0.5, y * OVERSAMPLING - 0.5) for x, y in hole], fill=0)
    return Mask(image.reduce(OVERSAMPLING))
