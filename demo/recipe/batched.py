"""The model's forward path for training: the same numbers as transformers' own, for many equal pictures and questions at once.

transformers runs the tower's attention picture by picture and a question at a time. Here a step holds B samples whose media
have one size, so that the tower runs as one batch; and all questions about a sample share one copy of its media: they stand in one
row, each attends to the media and to itself alone, at the positions it would have by itself. `tests/test_batched.py` holds
this against transformers' own forward.

Shapes: B samples, N pictures (or pairs of frames) a sample, P patches a picture, V = P / 4 decoder tokens a picture, L tokens of
the prefix with the media, Q tokens of all questions, S = L + Q, D the tower's width, H the decoder's.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import Qwen3VLForConditionalGeneration
from transformers.vision_utils import get_vision_interpolation_indices_and_weights, get_vision_position_ids

from recipe.architecture import MERGE, PATCH

MIDDLE = 3
"""Layers of the decoder after which a name's thing should be found: the last that gets features of the tower is among them, and
two are left to use what was found."""


@dataclass
class Batch:
    """One step's input. All samples have the same number and size of pictures, and the same prefix but for the pictures."""

    pixels: Tensor
    """uint8 [B * N, T, height, width, 3]; T is 1 for pictures (both frames of a patch are equal), 2 for clips; B * N = 0 without media."""
    prefix: Tensor
    """int64 [L] token ids up to the end of the media."""
    prefix_positions: Tensor
    """int64 [3, L] temporal, height and width positions."""
    media: Tensor
    """int64 [N * V] places of the media tokens in the prefix."""
    ids: Tensor
    """int64 [B, Q] token ids of the questions and their answers one after the other, padded at the end."""
    question: Tensor
    """int64 [B, Q] number of the question that a token belongs to; -1 for padding."""
    offset: Tensor
    """int64 [B, Q] place of a token in its question."""
    targets: Tensor
    """int64 [B, Q] the token that each token of an answer should be followed by; -1 where nothing is learnt."""
    places: Tensor
    """int64 [B, Q, 5] the picture of the thing that a token names and its box in 0..1000; -1 where it names no one thing."""
    wanted: Tensor
    """int64 [B, Q, 5] the same of the one thing that an answer is about, from the end of its question on; -1 elsewhere."""


@dataclass
class Features:
    """What the tower makes of the pictures."""

    patches: Tensor
    """[B * N, P, D] last hidden state, patches in 2 x 2 groups."""
    merged: Tensor
    """[B * N, V, H] features that take the places of the media tokens."""
    deepstack: list[Tensor]
    """Three times [B * N, V, H], added after the decoder's first three layers."""


@dataclass
class Hidden:
    """What the decoder makes of a batch."""

    last: Tensor
    """[B, Q, H] of the questions, after all layers and the norm."""
    middle: Tensor
    """[B, S, H] of all tokens, after `MIDDLE` layers."""
    late: Tensor
    """[B, Q, H] of the questions, before the last layer."""


class BatchedModel:
    """Runs a `Qwen3VLForConditionalGeneration`'s parameters; products and attention's scores in `precision`, all else in float32."""

    def __init__(self, model: Qwen3VLForConditionalGeneration, precision: torch.dtype, compiled: bool):
        self.model = model
        self.visual = model.model.visual
        self.text = model.model.language_model
        self.precision = precision
        self.vision_block, self.merger, self.text_layer = vision_block, merger, text_layer
        if compiled:
            compile = lambda f: torch.compile(f, dynamic=True)
            self.vision_block, self.merger, self.text_layer = (
                compile(vision_block),
                compile(merger),
                compile(text_layer),
            )

    def see(self, pixels: Tensor) -> Features:
        """The tower over uint8 [n, T, height, width, 3]."""
        visual, precision = self.visual, self.precision
        rows, columns = pixels.shape[2] // PATCH, pixels.shape[3] // PATCH
        weight = visual.patch_embed.proj.weight
        if pixels.shape[1] == 1:
            weight = weight.sum(2, keepdim=True)
        x = linear(patches(pixels), weight.flatten(1), visual.patch_embed.proj.bias, precision)
        grid = torch.tensor([[1, rows, columns]])
        index, share = get_vision_interpolation_indices_and_weights(
            grid, visual.num_grid_per_side, "bilinear", True, MERGE
        )
        x = x + (visual.pos_embed(index) * share[:, :, None]).sum(1)
        cos, sin = visual.rotary_pos_emb(x, get_vision_position_ids(grid, MERGE))
        deepstack = []
        heads = visual.config.num_heads
        for number, block in enumerate(visual.blocks):
            x = self.vision_block(x, list(block.parameters()), cos[:, None], sin[:, None], heads, precision)
            if number in visual.deepstack_visual_indexes:
                one = visual.deepstack_merger_list[len(deepstack)]
                deepstack.append(self.merger(x, list(one.parameters()), True, precision))
        return Features(x, self.merger(x, list(visual.merger.parameters()), False, precision), deepstack)

    def hidden(self, batch: Batch, seen: Features | None) -> Hidden:
        """The decoder over a batch; `seen` is absent without media."""
        count, length = batch.ids.shape
        prefix = batch.prefix.expand(count, -1)
        x = self.text.embed_tokens(torch.cat([prefix, batch.ids], dim=1))
        if seen is not None:
            x = x.index_copy(1, batch.media, seen.merged.reshape(count, -1, x.shape[-1]).to(x.dtype))
        cos, sin = self.text.rotary_emb(x, positions(batch))
        sizes = (self.text.config.num_attention_heads, self.text.config.num_key_value_heads)
        mask = own_mask(batch.question, len(batch.prefix)).to(self.precision).repeat_interleave(sizes[0], dim=0)
        for number, layer in enumerate(self.text.layers):
            x = self.text_layer(
                x, list(layer.parameters()), cos[:, :, None], sin[:, :, None], mask, sizes, self.precision
            )
            if seen is not None and number < len(seen.deepstack):
                x = x.index_add(1, batch.media, seen.deepstack[number].reshape(count, -1, x.shape[-1]).to(x.dtype))
            if number + 1 == MIDDLE:
                middle = x
            if number + 2 == len(self.text.layers):
                late = x[:, -length:]
        return Hidden(rms(x[:, -length:], self.text.norm.weight), middle, late)

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [..., vocabulary] of hidden states [..., H], float32."""
        return linear(hidden, self.text.embed_tokens.weight, None, self.precision).float()


def patches(pixels: Tensor) -> Tensor:
    """[n, P, 3 * T * 256] values in -1..1 of uint8 [n, T, height, width, 3], in 2 x 2 groups of patches as the processor orders them."""
    count, frames, height, width, _ = pixels.shape
    x = pixels.float() / 127.5 - 1
    step = PATCH * MERGE
    x = x.reshape(count, frames, height // step, MERGE, PATCH, width // step, MERGE, PATCH, 3)
    return x.permute(0, 2, 5, 3, 6, 8, 1, 4, 7).reshape(count, height * width // PATCH**2, 3 * frames * PATCH**2)


def positions(batch: Batch) -> Tensor:
    """[3, B, S] positions of the prefix and of the questions, each of which goes on where the prefix ends."""
    start = batch.prefix_positions.max() + 1
    prefix = batch.prefix_positions[:, None].expand(-1, len(batch.ids), -1)
    return torch.cat([prefix, (start + batch.offset).expand(3, -1, -1)], dim=2)


def own_mask(question: Tensor, prefix: int) -> Tensor:
    """[B, S, S]: minus infinity where the key is later, or of another question; `prefix` tokens come before the questions."""
    of = F.pad(question, (prefix, 0), value=-1)
    foreign = (of[:, :, None] != of[:, None, :]) & (torch.arange(of.shape[1], device=of.device) >= prefix)
    return later(of.shape[1], of.device).masked_fill(foreign, -torch.inf)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Softmax attention over [B, heads, length, width] of scaled queries; `mask` [B * heads, length, length] is added to the scores."""
    q, k, v = (t.flatten(0, 1) for t in (query, key, value))
    scores = q @ k.mT if mask is None else torch.baddbmm(mask, q, k.mT)
    return (scores.softmax(-1) @ v).unflatten(0, query.shape[:2])


def later(length: int, device: torch.device) -> Tensor:
    """[length, length]: minus infinity where the key comes after the query."""
    return torch.full((length, length), -torch.inf, device=device).triu(1)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None, precision: torch.dtype) -> Tensor:
    """x W^T + b with the product in `precision`."""
    return F.linear(x.to(precision), weight.to(precision), None if bias is None else bias.to(precision))


def rms(x: Tensor, weight: Tensor) -> Tensor:
    """RMS norm with the model's epsilon, in float32."""
    x = x.float()
    return weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of x [..., heads, width]; halves are paired."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


def vision_block(
    x: Tensor, parameters: list[Tensor], cos: Tensor, sin: Tensor, heads: int, precision: torch.dtype
) -> Tensor:
    """One block of the tower over x [n, P, D]; parameters in transformers' order; cos and sin [P, 1, D / heads]."""
    norm1, bias1, norm2, bias2, qkv, qkv_bias, out, out_bias, up, up_bias, down, down_bias = parameters
    count, length, width = x.shape
    h = linear(F.layer_norm(x, (width,), norm1, bias1, 1e-6), qkv, qkv_bias, precision)
    q, k, v = h.reshape(count, length, 3, heads, width // heads).unbind(2)
    q, k = rotate(q.float(), cos, sin) * q.shape[-1] ** -0.5, rotate(k.float(), cos, sin)
    q, k = q.to(precision), k.to(precision)
    h = attend(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
    x = x + linear(h.transpose(1, 2).reshape(count, length, width), out, out_bias, precision)
    h = linear(F.layer_norm(x, (width,), norm2, bias2, 1e-6), up, up_bias, precision)
    return x + linear(F.gelu(h, approximate="tanh"), down, down_bias, precision)


def merger(x: Tensor, parameters: list[Tensor], post: bool, precision: torch.dtype) -> Tensor:
    """[n, V, H] of [n, P, D]: four patches become one token; `post`: the norm is over the four together."""
    norm, bias, up, up_bias, down, down_bias = parameters
    count, length, width = x.shape
    group = MERGE**2
    if post:
        x = F.layer_norm(x.reshape(count, length // group, group * width), (group * width,), norm, bias, 1e-6)
    else:
        x = F.layer_norm(x, (width,), norm, bias, 1e-6).reshape(count, length // group, group * width)
    return linear(F.gelu(linear(x, up, up_bias, precision)), down, down_bias, precision)


def text_layer(
    x: Tensor,
    parameters: list[Tensor],
    cos: Tensor,
    sin: Tensor,
    mask: Tensor,
    sizes: tuple[int, int],
    precision: torch.dtype,
) -> Tensor:
    """One layer of the decoder over x [B, S, H]; parameters in transformers' order; cos and sin [B, S, 1, head].

    `mask` is that of `own_mask` for each head; `sizes`: heads of the queries, heads of the keys.
    """
    query, key, value, out, query_norm, key_norm, gate, up, down, norm1, norm2 = parameters
    heads, groups = sizes
    count, length, _ = x.shape
    h = rms(x, norm1).to(precision)
    split = lambda t, n: t.reshape(count, length, n, -1)
    q = rotate(rms(split(linear(h, query, None, precision), heads), query_norm), cos, sin)
    q = (q * q.shape[-1] ** -0.5).to(precision)
    k = rotate(rms(split(linear(h, key, None, precision), groups), key_norm), cos, sin).to(precision)
    v = split(linear(h, value, None, precision), groups)
    q, k, v = (t.repeat_interleave(heads // t.shape[2], dim=2).transpose(1, 2) for t in (q, k, v))
    h = attend(q, k, v, mask)
    x = x + linear(h.transpose(1, 2).reshape(count, length, -1), out, None, precision)
    h = rms(x, norm2).to(precision)
    h = F.silu(linear(h, gate, None, precision)) * linear(h, up, None, precision)
    return x + linear(h, down, None, precision)
