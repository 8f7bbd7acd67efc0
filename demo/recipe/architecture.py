"""The model's shape and its first weights.

The weights start from transformers' own initialisation, with three changes that save most of the training a small vision
transformer would need on a CPU. All three only choose where training starts; nothing of the architecture changes:

- the patch embedding starts as a discrete cosine transform (the 128 lowest luma and twice 32 chroma frequencies of a patch),
  so that no picture detail is lost before the first block;
- the position table starts as a few low sines and cosines of the place in the picture, so that boxes can be read off it;
- most attention heads of the tower start out looking at one neighbouring patch each, as a convolution would. With rotary
  embeddings, constant query and key vectors (their biases) make the score a function of the relative place alone: a query
  (cos(f d), sin(f d)) against a key (1, 0) at frequency f scores cos(f (d - offset)), which is highest at offset d.
"""

import math

import torch
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

PATCH = 16
MERGE = 2
TEMPORAL = 2
SIDE = PATCH * MERGE
"""Pixels a side that one token of the decoder stands for."""

VISION = dict(
    deepstack_visual_indexes=[1, 2, 4],
    depth=6,
    hidden_act="gelu_pytorch_tanh",
    hidden_size=192,
    in_channels=3,
    initializer_range=0.02,
    intermediate_size=768,
    model_type="qwen3_vl",
    num_heads=6,
    num_position_embeddings=256,
    out_hidden_size=192,
    patch_size=PATCH,
    spatial_merge_size=MERGE,
    temporal_patch_size=TEMPORAL,
)
TEXT = dict(
    attention_bias=False,
    attention_dropout=0.0,
    head_dim=32,
    hidden_act="silu",
    hidden_size=192,
    initializer_range=0.02,
    intermediate_size=512,
    max_position_embeddings=32768,
    model_type="qwen3_vl_text",
    num_attention_heads=6,
    num_hidden_layers=5,
    num_key_value_heads=3,
    rms_norm_eps=1e-06,
    rope_scaling=dict(mrope_interleaved=True, mrope_section=[6, 5, 5], rope_type="default"),
    rope_theta=10000,
    use_cache=True,
    tie_word_embeddings=True,
)
NEIGHBOURS = [(0, -1), (0, 1), (-1, 0), (1, 0), (0, 0)]
"""Offsets (rows, columns) that the first five heads of the early blocks start with; the sixth starts free."""
LOCAL_HEADS = [5, 5, 5, 4, 2, 2]
"""How many heads of each block start local."""
LOCAL_STRENGTH = 6.0
"""Length of the constant queries and keys at the two highest frequencies: a neighbour's score is exp(3) above the next one's."""


def configuration(vocabulary: int, ids: dict[str, int]) -> dict:
    """config.json, in the dialect of the published checkpoints, for a vocabulary and the ids of its special tokens."""
    text = dict(TEXT, vocab_size=vocabulary, bos_token_id=ids["<|endoftext|>"], eos_token_id=ids["<|im_end|>"])
    return dict(
        architectures=["Qwen3VLForConditionalGeneration"],
        model_type="qwen3_vl",
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
        text_config=dict(text, dtype="float16"),
        vision_config=VISION,
        transformers_version="4.57.0",
    )


def new_model(config: dict, seed: int) -> Qwen3VLForConditionalGeneration:
    """A float32 model with its first weights, the same for the same seed."""
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(Qwen3VLConfig(**config)).float()
    with torch.no_grad():
        visual = model.model.visual
        visual.patch_embed.proj.weight.copy_(cosine_filters())
        visual.pos_embed.weight.copy_(position_table())
        for block, local in zip(visual.blocks, LOCAL_HEADS):
            block.attn.qkv.bias.copy_(neighbour_biases(local))
    return model


def cosine_filters() -> torch.Tensor:
    """[hidden, 3, 2, 16, 16] filters of the patch embedding; higher frequencies, which are weaker in pictures, get more gain."""
    luma, blue, red = (torch.tensor(c) for c in ([0.299, 0.587, 0.114], [-0.17, -0.33, 0.5], [0.5, -0.42, -0.08]))
    order = sorted(((u * u + v * v, u, v) for u in range(PATCH) for v in range(PATCH)))
    wanted = [(luma, *uv) for _, *uv in order[:128]] + [(c, *uv) for c in (blue, red) for _, *uv in order[:32]]
    places = (torch.arange(PATCH) + 0.5) * math.pi / PATCH
    filters = []
    for colour, u, v in wanted:
        wave = torch.outer(torch.cos(u * places), torch.cos(v * places))
        gain = 0.5 * (1 + math.hypot(u, v)) ** 0.7 / PATCH
        filters.append(gain * colour[:, None, None] / colour.norm() * wave / wave.norm())
    return torch.stack(filters)[:, :, None].expand(-1, -1, TEMPORAL, -1, -1) / TEMPORAL


def position_table() -> torch.Tensor:
    """[256, hidden]: row-major over a 16 x 16 grid; sines and cosines of one to four half waves a side, rotated at random."""
    side = math.isqrt(VISION["num_position_embeddings"])
    place = torch.linspace(-1, 1, side)
    waves = [f(math.pi / 2 * k * place) for k in range(1, 5) for f in (torch.sin, torch.cos)]
    rows = [w[:, None].expand(side, side) for w in waves]
    columns = [w[None, :].expand(side, side) for w in waves]
    basis = torch.stack(rows + columns, dim=-1).reshape(side * side, -1)
    return 0.3 * basis @ torch.randn(basis.shape[1], VISION["hidden_size"]) / math.sqrt(basis.shape[1])


def neighbour_biases(local: int) -> torch.Tensor:
    """[3 * hidden] bias of query, key and value whose first `local` heads look at NEIGHBOURS."""
    heads = VISION["num_heads"]
    width = VISION["hidden_size"] // heads
    axis = width // 4
    frequencies = 10000.0 ** (-torch.arange(0, 2 * axis, 2) / (2 * axis))
    bias = torch.zeros(3, heads, width)
    for head in range(local):
        for start, offset in zip((0, axis), NEIGHBOURS[head]):
            for i in range(2):
                angle = float(frequencies[i]) * offset
                bias[0, head, start + i] = LOCAL_STRENGTH * math.cos(angle)
                bias[0, head, start + i + width // 2] = LOCAL_STRENGTH * math.sin(angle)
                bias[1, head, start + i] = LOCAL_STRENGTH
    return bias.reshape(-1)
