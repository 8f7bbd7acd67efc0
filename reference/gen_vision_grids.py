#!/usr/bin/env python3
"""Goldens of the vision tower on many grids, from transformers.

usage: gen_vision_grids.py            writes golden/vision_grids/CHECKPOINT.safetensors for every tiny checkpoint

For each case of vision_cases.py (which also says how the pixel values are made):
    CASE.grid_thw     int64 [pictures, 3]
    CASE.rows         int64 [K]              which rows of the features are kept whole
    CASE.features     float32 [K, H]         those rows of the merged features
    CASE.deepstack.i  float32 [K, H]         those rows of DeepStack feature i
    CASE.row_sums     float32 [1 + R, N / 4] the sum of every row, summed in float64: features first, then DeepStack
The metadata holds the SHA-256 of each case's pixel values as CASE.pixel_values_sha256.
"""

import hashlib
import os

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy as np
from safetensors.numpy import save_file

from vision_cases import CASES, load_reference, pixel_values, reference_features

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKPOINTS = ("dense-tied", "dense-untied", "moe")
KEPT_ROWS = 48


def kept_rows(count):
    """Evenly spaced, with the first and the last; odd steps, so that they wander over the columns of a picture."""
    return np.unique(np.linspace(0, count - 1, min(count, KEPT_ROWS)).round().astype(np.int64))


def case_tensors(name, grids, features):
    rows = kept_rows(len(features[0]))
    tensors = {
        f"{name}.grid_thw": np.array(grids, np.int64),
        f"{name}.rows": rows,
        f"{name}.features": features[0][rows],
        f"{name}.row_sums": np.stack([f.sum(1, dtype=np.float64) for f in features]).astype(np.float32),
    }
    tensors |= {f"{name}.deepstack.{i}": f[rows] for i, f in enumerate(features[1:])}
    return tensors


def main():
    out = os.path.join(HERE, "golden", "vision_grids")
    os.makedirs(out, exist_ok=True)
    metadata = {f"{n}.pixel_values_sha256": hashlib.sha256(pixel_values(g).tobytes()).hexdigest() for n, g in CASES.items()}
    for checkpoint in CHECKPOINTS:
        tower = load_reference(os.path.join(HERE, "tiny", checkpoint))
        tensors = {}
        for name, grids in CASES.items():
            features = reference_features(tower, grids)
            tensors |= case_tensors(name, grids, features)
            print(f"{checkpoint:14}{name:20}{len(features[0]):5} rows, largest value {max(np.abs(f).max() for f in features):.2f}")
        save_file(tensors, os.path.join(out, f"{checkpoint}.safetensors"), metadata)


if __name__ == "__main__":
    main()
