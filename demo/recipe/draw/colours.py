"""The eleven named colours and shades of them that nobody would call by another name."""

import numpy as np

from recipe.draw.choose import pick, uniform

Rgb = tuple[int, int, int]

BASE: dict[str, Rgb] = {
    "red": (220, 30, 30),
    "orange": (250, 140, 20),
    "yellow": (246, 222, 30),
    "green": (40, 160, 60),
    "blue": (40, 80, 220),
    "purple": (130, 45, 175),
    "pink": (250, 145, 195),
    "brown": (124, 74, 36),
    "black": (18, 18, 18),
    "white": (247, 247, 247),
    "gray": (135, 135, 135),
}
COLOURS = list(BASE)
NEUTRAL = {"black", "white", "gray"}
"""Colours whose three channels must move together, or they turn into a tint."""
PALE = {"blue", "green", "purple"}
"""Colours that keep their name when mixed with white; pale red is pink, pale orange is nothing in particular."""
VISIBLE = 100.0
"""Least distance of two RGB colours that are told apart at once."""


def shade(rng: np.random.Generator, name: str) -> Rgb:
    """A shade of the named colour."""
    factor = 1.0 if name == "white" else uniform(rng, 0.9, 1.08)
    shift = [uniform(rng, -9, 9)] * 3 if name in NEUTRAL else [uniform(rng, -11, 11) for _ in range(3)]
    return tuple(min(255, max(0, round(c * factor + s))) for c, s in zip(BASE[name], shift))


def background_shade(rng: np.random.Generator, name: str) -> Rgb:
    """A shade of the named colour, for large areas also a pale one."""
    rgb = shade(rng, name)
    if name not in PALE:
        return rgb
    pale = uniform(rng, 0.0, 0.4)
    return tuple(round(c + (255 - c) * pale) for c in rgb)


def distance(a: Rgb, b: Rgb) -> float:
    """Euclidean distance of two RGB colours, 0 to 442."""
    return sum((x - y) ** 2 for x, y in zip(a, b)) ** 0.5


def luminance(rgb: Rgb) -> float:
    """Brightness as the eye weighs it, 0 to 255."""
    return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]


def shade_against(
    rng: np.random.Generator, background: Rgb, names: list[str], contrast: float = 0.0
) -> tuple[str, Rgb]:
    """A colour out of `names` that is visible on `background` and differs from it in luminance by `contrast` or more.

    `names` must hold black and white, or at least one colour that fits every background that it is asked for.
    """
    while True:
        name = pick(rng, names)
        rgb = shade(rng, name)
        if distance(rgb, background) >= VISIBLE and abs(luminance(rgb) - luminance(background)) >= contrast:
            return name, rgb
