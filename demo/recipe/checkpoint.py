"""Writes the model as a checkpoint in the layout of the published ones: float16 weights, configuration, tokenizer, template."""

import json
import shutil
from pathlib import Path

from safetensors.torch import save_file
from torch import nn

from recipe import tokenizer
from recipe.architecture import configuration

LEAST_PIXELS = 128 * 128
"""Smaller pictures are enlarged, in use if not in training: a letter of theirs has more patches then."""
MOST_PIXELS = 192 * 192
"""Areas of a picture; others are resized by the processor. Training shows no larger ones."""
MOST_FRAMES = 16
"""Frames of that area a clip may have before they are reduced."""


def prepare(folder: Path) -> dict:
    """Writes everything but the weights; gives the configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = tokenizer.write(folder)
    config = configuration(tokenizer.rows(ids), ids)
    put(folder / "config.json", config)
    shutil.copy(tokenizer.REAL / "chat_template.Instruct.json", folder / "chat_template.json")
    for name, frames in (("preprocessor_config.json", 1), ("video_preprocessor_config.json", MOST_FRAMES)):
        settings = json.loads((tokenizer.REAL / name).read_text())
        settings["size"] = dict(longest_edge=MOST_PIXELS * frames, shortest_edge=LEAST_PIXELS)
        put(folder / name, settings)
    ends = [ids["<|im_end|>"], ids["<|endoftext|>"]]
    put(folder / "generation_config.json", dict(do_sample=False, eos_token_id=ends, pad_token_id=ids["<|endoftext|>"]))
    return config


def save_weights(model: nn.Module, folder: Path) -> None:
    """Writes model.safetensors; the tied head is not written twice."""
    weights = {n: p.detach().half().cpu().contiguous() for n, p in model.named_parameters() if n != "lm_head.weight"}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def put(path: Path, value: dict) -> None:
    """Writes indented JSON."""
    path.write_text(json.dumps(value, indent=2) + "\n")
