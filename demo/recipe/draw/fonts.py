"""Free fonts out of PyPI packages and the masks of their glyphs."""

import functools
import importlib.util
import math
import os
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from recipe.draw.masks import Mask

FACES = {
    "matplotlib/mpl-data/fonts/ttf": [
        "DejaVuSans.ttf",
        "DejaVuSans-Bold.ttf",
        "DejaVuSans-Oblique.ttf",
        "DejaVuSansMono.ttf",
        "DejaVuSansMono-Bold.ttf",
        "DejaVuSerif.ttf",
        "DejaVuSerif-Bold.ttf",
        "DejaVuSerif-Italic.ttf",
    ],
    "font_roboto/files": ["Roboto-Regular.ttf", "Roboto-Bold.ttf", "Roboto-Italic.ttf"],
    "font_source_serif_pro/files": ["SourceSerifPro-Regular.ttf", "SourceSerifPro-Bold.ttf"],
    "font_source_sans_pro/files": ["SourceSansPro-Regular.ttf", "SourceSansPro-Bold.ttf"],
    "font_caladea/files": ["Caladea-Regular.ttf", "Caladea-Bold.ttf", "Caladea-Italic.ttf"],
    "font_hanken_grotesk/files": ["HankenGrotesk-Medium.otf", "HankenGrotesk-Bold.otf"],
}
"""Folder inside an installed package -> font files; the packages are pinned in requirements.txt."""
SIZES = [12, 13, 14, 16, 18, 20, 22, 24, 27, 30, 34, 38, 43, 48, 54, 60, 67, 75, 84, 94, 105]
"""Sizes in pixels per em; few, so that glyphs are found in the cache."""
SLANTS = [-10, -5, 0, 5, 10]
"""Angles in degrees by which a line of text falls from left to right."""
INK = 48
"""coverage of 255 that counts as ink when a glyph is cropped"""


def font_folder(folder: str) -> str:
    """Where `package/folder` is installed. The package itself is not imported: matplotlib would take seconds."""
    package, _, inside = folder.partition("/")
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError(f"the font package {package} is missing: run pip install -r requirements.txt")
    return os.path.join(next(iter(found.submodule_search_locations)), inside)


FONTS: list[str] = [os.path.join(font_folder(folder), name) for folder, names in FACES.items() for name in names]
"""Paths of all font files; a face is an index into this list."""


def nearest_size(pixels: float) -> int:
    """The largest of SIZES that does not exceed `pixels`, at least the smallest one."""
    return max((size for size in SIZES if size <= pixels), default=SIZES[0])


@functools.cache
def font(face: int, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONTS[face], size, layout_engine=ImageFont.Layout.BASIC)


@dataclass(frozen=True)
class Glyph:
    """A character of one face, size and slant."""

    mask: Mask
    left: int
    """from the pen to the mask's left edge, in pixels"""
    top: int
    """from the baseline down to the mask's top edge, in pixels; negative above it"""
    advance: float
    """from this pen position to the next along the baseline, in pixels"""


@functools.cache
def advance(face: int, size: int, character: str) -> float:
    """Width of a character in pixels, without kerning."""
    return font(face, size).getlength(character)


def ink_box(image: Image.Image) -> tuple[int, int, int, int]:
    """x0 y0 x1 y1 of the pixels with ink, of which there must be one."""
    ink = np.asarray(image) >= INK
    rows, columns = ink.any(1), ink.any(0)
    height, width = ink.shape
    right, bottom = width - int(columns[::-1].argmax()), height - int(rows[::-1].argmax())
    return int(columns.argmax()), int(rows.argmax()), right, bottom


@functools.lru_cache(maxsize=100_000)
def glyph(face: int, size: int, character: str, slant: int) -> Glyph:
    """A character turned about its pen position by `slant` degrees."""
    x0, y0, x1, y1 = font(face, size).getbbox(character, anchor="ls")
    # A turn by ten degrees moves the farthest corner, 1.4 em from the pen, by a quarter of an em.
    margin = 2 if slant == 0 else 2 + size // 4
    pen_x, pen_y = margin - int(x0), margin - int(y0)
    image = Image.new("L", (int(x1 - x0) + 2 * margin, int(y1 - y0) + 2 * margin))
    ImageDraw.Draw(image).text((pen_x, pen_y), character, fill=255, font=font(face, size), anchor="ls")
    if slant:
        turn = math.radians(slant)
        c, s = math.cos(turn), math.sin(turn)
        # The map from the turned picture back to the upright one.
        back = (c, s, pen_x - c * pen_x - s * pen_y, -s, c, pen_y + s * pen_x - c * pen_y)
        image = image.transform(image.size, Image.Transform.AFFINE, back, Image.Resampling.BICUBIC)
    box = ink_box(image)
    return Glyph(Mask(image.crop(box)), box[0] - pen_x, box[1] - pen_y, advance(face, size, character))
