"""Dense labels for the tower: what lies under each cell of 4 x 4 pixels. They are learnt first, and kept up afterwards.

A question says one thing about a picture; dense labels say thousands. They are asked for twice: of the patches, after the last
block, and of the merged tokens that the decoder gets. There the box of the thing under a patch is asked for digit by digit, as
answers write it: a decoder learns to look digits up long before it learns to tell them from a length. The heads are used in
training only and are not part of the model.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipe.architecture import MERGE, PATCH, TEXT, VISION
from recipe.batched import Batch, Features, Hidden
from recipe.draw.colours import COLOURS
from recipe.draw.labels import CELL, CHARACTERS, KINDS
from recipe.tasks import Labels

CELLS = (PATCH // CELL) ** 2
"""Cells of a patch."""
SIZES = [1 + len(KINDS), len(COLOURS), 4]
"""Scores of a cell at a patch: kinds, colours, and the box itself."""
PROBES = [5, 7, 13, 15]
"""The cells of a patch, one in each quarter, that its merged token is asked for."""
NARROW = [4, 5, 6, 7, 12, 13, 14, 15]
"""The cells of two lines through a patch: a narrow letter stands between the probes, but in each line there is one of its cells."""
DIGITS = [11, 10]
"""Values of the hundreds (ten where the number is 1000) and of the tens of a coordinate in 0..1000."""
PICTURES = 2
"""Pictures of a pair."""
LETTERS = range(1 + KINDS.index(CHARACTERS[0]), 1 + KINDS.index(CHARACTERS[0]) + len(CHARACTERS))
"""Labels of characters."""
BACKGROUND = 0.2
"""Weight of a cell of background, which most cells are."""


class DenseHeads(nn.Module):
    """Linear heads on patches and on merged tokens."""

    def __init__(self) -> None:
        super().__init__()
        group = MERGE**2
        self.patch = nn.Linear(VISION["hidden_size"], CELLS * sum(SIZES))
        self.kinds = nn.Linear(TEXT["hidden_size"], group * len(PROBES) * sum(SIZES[:2]))
        self.digits = nn.Linear(TEXT["hidden_size"], group * 4 * sum(DIGITS))
        self.letters = nn.Linear(TEXT["hidden_size"], group * len(NARROW) * SIZES[0])
        self.place = nn.Linear(TEXT["hidden_size"], PICTURES + 4 * sum(DIGITS))
        self.before = nn.Linear(TEXT["hidden_size"], group * len(PROBES) * sum(SIZES[:2]))
        self.pair = nn.Linear(TEXT["hidden_size"], PICTURES + 2)

    def loss(self, seen: Features, kind: Tensor, colour: Tensor, box: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of what the tower saw against labels [n, P, CELLS] and [n, P, CELLS, 4], and the shares of right cells."""
        patches, shares = self.patch_loss(seen.patches, kind, colour, box)
        tokens, more = self.token_loss(seen.merged, kind[:, :, PROBES], colour[:, :, PROBES], box[:, :, PROBES])
        return patches + tokens, shares | more

    def patch_loss(self, patches: Tensor, kind: Tensor, colour: Tensor, box: Tensor) -> tuple[Tensor, dict]:
        """Of hidden states [n, P, D]."""
        kinds, colours, boxes = scores(self.patch, patches, sum(SIZES)).split(SIZES, dim=-1)
        kind, box = kind.flatten(), box.reshape(-1, 4)
        thing = kind > 0
        box_loss = ((boxes - box).abs().mean(-1) * thing).sum() / thing.sum().clamp(min=1)
        right = kinds.detach().argmax(-1) == kind
        letter = (kind >= LETTERS.start) & (kind < LETTERS.stop)
        shares = {"shape": share(right, thing & ~letter), "letter": share(right, letter), "box": box_loss.detach()}
        return cell_loss(kinds, colours, kind, colour.flatten()) + 4 * box_loss, shares

    def token_loss(self, tokens: Tensor, kind: Tensor, colour: Tensor, box: Tensor) -> tuple[Tensor, dict]:
        """Of merged tokens [n, V, H]; labels at the probes, [n, P, 4] and [n, P, 4, 4]."""
        kinds, colours = scores(self.kinds, tokens, sum(SIZES[:2])).split(SIZES[:2], dim=-1)
        loss = cell_loss(kinds, colours, kind.flatten(), colour.flatten())
        right = kinds.detach().argmax(-1) == kind.flatten()
        shares = {"token": share(right, kind.flatten() > 0)}
        # One box a patch: of the first of its probes that lies on a thing.
        first = (kind > 0).byte().argmax(-1)
        thing = (kind > 0).any(-1).flatten()
        box = box.gather(2, first[..., None, None].expand(-1, -1, 1, 4)).reshape(-1, 4)[thing]
        if len(box):
            digits = scores(self.digits, tokens, 4 * sum(DIGITS))[thing]
            digit_loss, right = digits_loss(digits, (1000 * box).round().long())
            loss = loss + digit_loss
            shares |= right
        return loss, shares

    def letter_loss(self, tokens: Tensor, kind: Tensor) -> Tensor:
        """Of merged tokens [n, V, H], which kind each cell of NARROW shows; labels [n, P, CELLS]."""
        kind = kind[:, :, NARROW].flatten()
        weight = torch.where(kind > 0, 1.0, BACKGROUND)
        loss = F.cross_entropy(scores(self.letters, tokens, SIZES[0]), kind, reduction="none")
        return (loss * weight).sum() / weight.sum()

    def names_loss(self, hidden: Hidden, batch: Batch) -> tuple[Tensor, dict]:
        """Of tokens that name one thing, in the middle: where it is. Of answers about one thing, before the last layer: the
        same, by the same head, so that what names know only needs to be brought there."""
        names, named = self.place_loss(hidden.middle[:, -batch.ids.shape[1] :], batch.places, "place", batch)
        answers, located = self.place_loss(hidden.late, batch.wanted, "wanted", batch)
        return names + answers, named | located

    def place_loss(self, hidden: Tensor, places: Tensor, name: str, batch: Batch) -> tuple[Tensor, dict]:
        """Of hidden states [B, Q, H]: the picture and the digits of the box of `places` [B, Q, 5], where there are any."""
        places = places.flatten(0, 1)
        known = places[:, 0] >= 0
        if not known.any():
            return torch.zeros(()), {}
        picture, digits = scores(self.place, hidden, self.place.out_features)[known].split(
            [PICTURES, 4 * sum(DIGITS)], dim=-1
        )
        loss, shares = digits_loss(digits, places[known, 1:])
        shares = {f"{name} {part}": value for part, value in shares.items()}
        if len(batch.pixels) > len(batch.ids):
            loss = loss + F.cross_entropy(picture, places[known, 0])
            shares[f"{name} picture"] = (picture.detach().argmax(-1) == places[known, 0]).float().mean()
        return loss, shares

    def pair_loss(self, hidden: Hidden, batch: Batch, kind: Tensor, colour: Tensor) -> tuple[Tensor, dict]:
        """Of a pair's tokens: which picture they are of; of the second one's: what the first one shows at their place, and
        whether that is something else. Labels [2 * B, P, CELLS] of all pictures."""
        media = hidden.middle[:, batch.media].unflatten(1, (PICTURES, -1))
        (kind, kind2), (colour, colour2) = ((t[::2, :, PROBES], t[1::2, :, PROBES]) for t in (kind, colour))
        kinds, colours = scores(self.before, media[:, 1], sum(SIZES[:2])).split(SIZES[:2], dim=-1)
        loss = cell_loss(kinds, colours, kind.flatten(), colour.flatten())
        shares = {"before": share(kinds.detach().argmax(-1) == kind.flatten(), kind.flatten() > 0)}
        number, changed = scores(self.pair, media, PICTURES + 2).split([PICTURES, 2], dim=-1)
        wanted = torch.arange(PICTURES, device=kind.device)[:, None].expand(media.shape[:3]).flatten()
        loss = loss + F.cross_entropy(number, wanted)
        shares["number"] = (number.detach().argmax(-1) == wanted).float().mean()
        differs = ((kind != kind2) | (kind > 0) & (colour != colour2)).unflatten(1, (-1, MERGE**2)).flatten(2).any(-1)
        changed = changed.unflatten(0, media.shape[:3])[:, 1]
        weight = torch.tensor([BACKGROUND, 1.0], device=kind.device)
        loss = loss + F.cross_entropy(changed.flatten(0, 1), differs.flatten().long(), weight=weight)
        shares["changed"] = share(changed.detach().argmax(-1) == 1, differs)
        return loss, shares


def digits_loss(scores: Tensor, box: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Of scores [n, 4 * sum(DIGITS)], for boxes [n, 4] in 0..1000: hundreds and tens, and the shares of right ones."""
    loss, shares = 0, {}
    parts = scores.unflatten(-1, (4, sum(DIGITS))).split(DIGITS, dim=-1)
    for name, part, wanted in zip(("hundreds", "tens"), parts, (box // 100, box // 10 % 10)):
        loss = loss + F.cross_entropy(part.flatten(0, 1), wanted.flatten())
        shares[name] = (part.detach().argmax(-1) == wanted).float().mean()
    return loss, shares


def scores(head: nn.Linear, x: Tensor, width: int) -> Tensor:
    """The head's scores for each cell or patch [..., width], float32, of hidden states of unit scale."""
    norm = F.layer_norm(x.float(), x.shape[-1:]).to(torch.bfloat16)
    return F.linear(norm, head.weight.bfloat16(), head.bias.bfloat16()).float().reshape(-1, width)


def cell_loss(kinds: Tensor, colours: Tensor, kind: Tensor, colour: Tensor) -> Tensor:
    """Cross entropy of kind and colour over cells, few of which are not background."""
    weight = torch.where(kind > 0, 1.0, BACKGROUND)
    kind_loss = F.cross_entropy(kinds, kind, reduction="none") * weight
    colour_loss = F.cross_entropy(colours, colour, reduction="none") * weight
    return (kind_loss + 0.5 * colour_loss).sum() / weight.sum()


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
