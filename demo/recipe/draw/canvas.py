"""A picture under way: what is pasted onto it is labelled at once."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from recipe.draw.background import SIGMAS, Background, add_noise, paint_background
from recipe.draw.choose import chance, pick, uniform
from recipe.draw.colours import COLOURS, Rgb
from recipe.draw.labels import LABEL_OF_KIND, Labels, empty_labels
from recipe.draw.masks import Mask

Box = tuple[float, float, float, float]
"""x0 y0 x1 y1"""


@dataclass(frozen=True)
class Format:
    """Sizes of a picture in pixels: it is drawn at the native one and resized to the final one."""

    height: int
    width: int
    native_height: int
    native_width: int

    @property
    def zoom(self) -> float:
        """Native pixels per final pixel."""
        return (self.native_height * self.native_width / (self.height * self.width)) ** 0.5

    @property
    def side(self) -> int:
        """The shorter native side."""
        return min(self.native_height, self.native_width)


def native_format(height: int, width: int) -> Format:
    """A picture that is drawn at its final size."""
    return Format(height, width, height, width)


def random_format(rng: np.random.Generator, height: int, width: int) -> Format:
    """A third of the pictures is resized, as the processor resizes pictures that are not multiples of 32 a side."""
    if not chance(rng, 1 / 3):
        return native_format(height, width)
    zoom = uniform(rng, 0.75, 1.6)
    return Format(height, width, round(height * zoom * uniform(rng, 0.92, 1.0)), round(width * zoom))


class Canvas:
    """A picture of the native size with dense labels on the grid of the final size."""

    def __init__(self, form: Format, background: Background) -> None:
        self.form = form
        self.image = paint_background(background, form.native_height, form.native_width)
        self.labels: Labels = empty_labels(form.height, form.width, COLOURS.index(background.name))
        rows, columns = self.labels.kind.shape
        self.row_height = form.native_height / rows
        self.column_width = form.native_width / columns

    def relative(self, box: Box) -> Box:
        """A box in native pixels as parts of the picture, within 0..1."""
        width, height = self.form.native_width, self.form.native_height
        parts = (box[0] / width, box[1] / height, box[2] / width, box[3] / height)
        return tuple(min(1.0, max(0.0, part)) for part in parts)

    def cells(self, box: Box) -> tuple[int, int, int, int]:
        """Columns and rows x0 y0 x1 y1 (ends excluded) of the cells whose centres lie in the box."""
        rows, columns = self.labels.kind.shape
        x0 = max(0, int(box[0] / self.column_width + 0.5))
        y0 = max(0, int(box[1] / self.row_height + 0.5))
        x1 = min(columns, int(box[2] / self.column_width + 0.5))
        y1 = min(rows, int(box[3] / self.row_height + 0.5))
        return x0, y0, x1, y1

    def paste_shape(self, mask: Mask, x: int, y: int, rgb: Rgb, kind: str, colour: str) -> None:
        """Pastes a shape with its upper left corner at x, y and labels the cells whose centres it covers."""
        self.image.paste(rgb, (x, y, x + mask.width, y + mask.height), mask.image)
        box = (x, y, x + mask.width, y + mask.height)
        x0, y0, x1, y1 = self.cells(box)
        columns = ((np.arange(x0, x1) + 0.5) * self.column_width - x).astype(np.intp)
        rows = ((np.arange(y0, y1) + 0.5) * self.row_height - y).astype(np.intp)
        rows, columns = np.minimum(rows, mask.height - 1), np.minimum(columns, mask.width - 1)
        covered = mask.inside[rows[:, None], columns]
        self.labels.kind[y0:y1, x0:x1][covered] = LABEL_OF_KIND[kind]
        self.labels.colour[y0:y1, x0:x1][covered] = COLOURS.index(colour)
        self.labels.box[y0:y1, x0:x1][covered] = self.relative(box)

    def label_area(self, area: Box, kind: str, colour: str, box: Box) -> None:
        """Labels all cells whose centres lie in `area`, as parts of the object with outline `box`."""
        x0, y0, x1, y1 = self.cells(area)
        self.labels.kind[y0:y1, x0:x1] = LABEL_OF_KIND[kind]
        self.labels.colour[y0:y1, x0:x1] = COLOURS.index(colour)
        self.labels.box[y0:y1, x0:x1] = self.relative(box)

    def finish(self, rng: np.random.Generator, difficulty: float) -> tuple[np.ndarray, Labels]:
        """The picture, uint8 [H, W, 3] at the final size and noisy now and then, and its labels."""
        picture = np.asarray(self.image)
        if chance(rng, 0.6 * difficulty):
            picture = add_noise(rng, picture, pick(rng, SIGMAS))
        size = (self.form.width, self.form.height)
        if size != self.image.size:
            resized = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)
            picture = np.asarray(resized)
        return picture, self.labels
