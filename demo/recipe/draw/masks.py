"""Coverage masks that are pasted through: one per shape or glyph, size and angle, made once and kept."""

import functools
from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Mask:
    """Coverage of a shape or glyph, cropped to its ink."""

    image: Image.Image
    """mode L, 0 outside, 255 inside"""

    @functools.cached_property
    def inside(self) -> np.ndarray:
        """bool [height, width]: coverage of a half or more"""
        return np.asarray(self.image) >= 128

    @property
    def width(self) -> int:
        return self.image.width

    @property
    def height(self) -> int:
        return self.image.height
