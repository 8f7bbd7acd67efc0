"""The grids on which the vision tower is compared, and the pixel values they are filled with.

The pixels come from a hash, so that any language makes them anew, bit for bit. With wrapping 32-bit arithmetic

    mix(x):  x ^= x >> 16;  x *= 0x7feb352d;  x ^= x >> 15;  x *= 0x846ca68b;  x ^= x >> 16
    unit(x) = (mix(x) >> 8) / 2^23 - 1                          in [-1, 1), exact in float32
    pixel_values[row, column] = (unit(row * 1536 + column) + unit(0xFFFFFFFF - row)) / 2

Every step is exact in float32. The second term makes the patches differ from each other as those of a picture do;
without it all of them look like the same noise and attention has nothing to tell apart.
Rows are counted through all pictures of a case.
"""

import numpy as np

PATCH_LEN = 1536

# Each case is one call: the (t, h, w) of every picture or video in it, in patches.
CASES = {
    "square_16": [(1, 16, 16)],
    "square_24": [(1, 24, 24)],
    "wide_22x30": [(1, 22, 30)],
    "smallest_2x2": [(1, 2, 2)],
    "large_48x64": [(1, 48, 64)],
    "frames_4": [(4, 16, 16)],
    "two_pictures": [(1, 16, 16), (1, 24, 18)],
    "video_and_picture": [(3, 8, 8), (1, 40, 6)],
}


def mix(x):
    x = x.astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return x


def unit(x):
    return (mix(x) >> np.uint32(8)).astype(np.float32) / np.float32(2**23) - np.float32(1)


def pixel_values(grids):
    """float32 [N, 1536] for the grids of one case."""
    rows = sum(t * h * w for t, h, w in grids)
    row = np.arange(rows, dtype=np.uint32)[:, None]
    column = np.arange(PATCH_LEN, dtype=np.uint32)[None, :]
    noise = unit(row * np.uint32(PATCH_LEN) + column)
    shade = unit(np.uint32(0xFFFFFFFF) - row)
    return (noise + shade) / np.float32(2)


def load_reference(checkpoint):
    """The checkpoint's vision tower in transformers: float32, eager attention."""
    import torch
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32, attn_implementation="eager")
    return model.eval().model.visual


def reference_features(tower, grids):
    """[features, deepstack 0, deepstack 1, …], each float32 [N / 4, H]."""
    import torch

    with torch.no_grad():
        out = tower(torch.from_numpy(pixel_values(grids)), grid_thw=torch.tensor(grids))
    return [x.numpy() for x in (out.pooler_output, *out.deepstack_features)]
