"""Dense labels: what a picture shows, on a grid of cells of 4 x 4 pixels."""

import string
from dataclasses import dataclass

import numpy as np

from recipe.draw.shapes import SHAPES

CELL = 4
"""side of a cell in pixels of the final picture"""
CHARACTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
KINDS = [*SHAPES, *CHARACTERS, "bar"]
"""what a cell can show; its label is one more than the index here, 0 is the background"""
LABEL_OF_KIND = {kind: 1 + index for index, kind in enumerate(KINDS)}


@dataclass
class Labels:
    """Labels of one picture of height H and width W."""

    kind: np.ndarray
    """int16 [H/4, W/4]: 0 background, else 1 + index in KINDS"""
    colour: np.ndarray
    """int16 [H/4, W/4]: index in COLOURS of what covers the cell's centre (a character covers its whole box)"""
    box: np.ndarray
    """float32 [H/4, W/4, 4]: x0 y0 x1 y1 in 0..1 of the shape, bar or whole word at the cell, 0 for background"""


def empty_labels(height: int, width: int, background: int) -> Labels:
    """Labels of a picture that shows nothing but a background of the colour with this index."""
    grid = (height // CELL, width // CELL)
    return Labels(np.zeros(grid, np.int16), np.full(grid, background, np.int16), np.zeros((*grid, 4), np.float32))
