"""Dense labels for the tower: what lies under each cell of 4 x 4 pixels. They are learnt first, and kept up afterwards.

A question says one thing about a picture; dense labels say thousands. The heads are used in training only and are not part of
the model.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipe.architecture import MERGE, PATCH, VISION
from recipe.draw.colours import COLOURS
from recipe.draw.labels import CELL, CHARACTERS, KINDS
from recipe.tasks import Labels

CELLS = (PATCH // CELL) ** 2
"""Cells of a patch."""
SIZES = [1 + len(KINDS), len(COLOURS), 4]
LETTERS = range(1 + KINDS.index(CHARACTERS[0]), 1 + KINDS.index(CHARACTERS[0]) + len(CHARACTERS))
"""Labels of characters."""
BACKGROUND = 0.2
"""Weight of a cell of background, which most cells are."""


class DenseHead(nn.Linear):
    """From a patch's last hidden state [..., D] to kind and colour scores and the box of each of its cells."""

    def __init__(self) -> None:
        super().__init__(VISION["hidden_size"], CELLS * sum(SIZES))

    def loss(self, patches: Tensor, kind: Tensor, colour: Tensor, box: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of hidden states [n, P, D] against labels [n, P, CELLS] and [n, P, CELLS, 4], and the shares of right cells."""
        norm = F.layer_norm(patches.float(), patches.shape[-1:]).to(torch.bfloat16)
        out = F.linear(norm, self.weight.bfloat16(), self.bias.bfloat16()).float()
        out = out.reshape(-1, sum(SIZES))
        kinds, colours, boxes = out.split(SIZES, dim=-1)
        kind, colour, box = kind.flatten(), colour.flatten(), box.reshape(-1, 4)
        thing = kind > 0
        weight = torch.where(thing, 1.0, BACKGROUND)
        total = weight.sum()
        kind_loss = (F.cross_entropy(kinds, kind, reduction="none") * weight).sum() / total
        colour_loss = (F.cross_entropy(colours, colour, reduction="none") * weight).sum() / total
        box_loss = ((boxes - box).abs().mean(-1) * thing).sum() / thing.sum().clamp(min=1)
        right = kinds.detach().argmax(-1) == kind
        letter = (kind >= LETTERS.start) & (kind < LETTERS.stop)
        shares = {"shape": share(right, thing & ~letter), "letter": share(right, letter), "box": box_loss.detach()}
        return kind_loss + 0.5 * colour_loss + 4 * box_loss, shares


def share(right: Tensor, where: Tensor) -> Tensor:
    """Part of `where` that is right; not a number where there is none."""
    return (right & where).sum() / where.sum()


def by_patch(labels: list[Labels]) -> tuple[Tensor, Tensor, Tensor]:
    """Kind and colour [n, P, CELLS] and box [n, P, CELLS, 4] with patches in the processor's order."""
    kind = grouped(np.stack([one.kind for one in labels]).astype(np.int64))
    colour = grouped(np.stack([one.colour for one in labels]).astype(np.int64))
    return kind, colour, grouped(np.stack([one.box for one in labels]))


def grouped(cells: np.ndarray) -> Tensor:
    """[n, P, CELLS, ...] of [n, H / 4, W / 4, ...]."""
    count, rows, columns = cells.shape[:3]
    side = PATCH // CELL
    step = side * MERGE
    x = cells.reshape(count, rows // step, MERGE, side, columns // step, MERGE, side, *cells.shape[3:])
    x = np.moveaxis(x, [1, 4, 2, 5, 3, 6], [1, 2, 3, 4, 5, 6])
    return torch.from_numpy(np.ascontiguousarray(x.reshape(count, -1, CELLS, *cells.shape[3:])))
