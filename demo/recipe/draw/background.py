"""Backgrounds, flat or with a gradient, and noise."""

import functools
from dataclasses import dataclass

import numpy as np
from PIL import Image

from recipe.draw.choose import between, chance, pick, uniform
from recipe.draw.colours import COLOURS, Rgb, background_shade

TILE = 512
"""side of a noise tile in pixels; pictures are at most 410 pixels a side"""
SIGMAS = [3, 6, 9, 12]


@dataclass(frozen=True)
class Background:
    """One named colour; `start` and `end` are the ends of its gradient, equal where it is flat."""

    name: str
    start: Rgb
    end: Rgb
    direction: tuple[float, float]
    """weights of x and y in the gradient"""

    @property
    def middle(self) -> Rgb:
        return tuple((a + b) // 2 for a, b in zip(self.start, self.end))


def random_background(rng: np.random.Generator, difficulty: float) -> Background:
    """White or light more often than not, as pictures are; gradients come with difficulty."""
    name = "white" if chance(rng, 0.35) else pick(rng, COLOURS)
    start = background_shade(rng, name)
    if not chance(rng, 0.4 * difficulty):
        return Background(name, start, start, (0.0, 0.0))
    factor = uniform(rng, 0.95, 1.0) if name == "white" else uniform(rng, 0.86, 1.14)
    end = tuple(min(255, max(0, round(c * factor))) for c in start)
    return Background(name, start, end, pick(rng, [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5)]))


def paint_background(background: Background, height: int, width: int) -> Image.Image:
    """A picture of mode RGB with nothing but the background."""
    if background.start == background.end:
        return Image.new("RGB", (width, height), background.start)
    x, y = background.direction
    along = np.linspace(0, x, width, dtype=np.float32)[None] + np.linspace(0, y, height, dtype=np.float32)[:, None]
    channels = [(a + (b - a) * along).astype(np.uint8) for a, b in zip(background.start, background.end)]
    return Image.fromarray(np.stack(channels, axis=-1))


@functools.cache
def noise_tile(sigma: int) -> np.ndarray:
    """Normal noise, int16 [TILE, TILE, 3]; drawn once, pictures take cuts from it."""
    return np.random.default_rng(sigma).normal(0, sigma, (TILE, TILE, 3)).round().astype(np.int16)


def add_noise(rng: np.random.Generator, picture: np.ndarray, sigma: int) -> np.ndarray:
    """The uint8 picture [H, W, 3] with noise of the given standard deviation in levels of 255."""
    height, width = picture.shape[:2]
    y, x = between(rng, 0, TILE - height), between(rng, 0, TILE - width)
    noisy = picture + noise_tile(sigma)[y : y + height, x : x + width]
    return np.clip(noisy, 0, 255, out=noisy).astype(np.uint8)
