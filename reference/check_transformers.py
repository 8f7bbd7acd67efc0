#!/usr/bin/env python3
"""The whole program against transformers: picture files in, tokens out.

usage: check_transformers.py PACKAGE CHECKPOINT QVL        PACKAGE exported from CHECKPOINT in fp32

`qvl run PACKAGE --json`, greedy, against AutoProcessor and generate: prompt token ids, grids and 32 greedy tokens.
The pictures are given to transformers as a person sees them (EXIF orientation applied, transparency on white), which is what
qvl does with a file. Where two tokens are closer than 5e-4 in transformers' logits, rounding decides: such a step ends the
comparison and is reported.
"""

import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from PIL import Image, ImageOps
from transformers import AutoModelForImageTextToText, AutoProcessor

from package_tools import qvl_run
from report import Report

HERE = os.path.dirname(os.path.abspath(__file__))
NEW_TOKENS = 32
NEAR_TIE = 5e-4
CASES = [
    ("What is in this picture?", []),
    ("What is in this picture?", ["examples/pictures/shapes.png"]),
    ("Read the chart.", ["examples/pictures/chart.png"]),
    ("Describe this image.", ["reference/images/exif6_320x200.jpg"]),
    ("Describe this image.", ["reference/images/rgba_160x120.png"]),
    ("Describe this image.", ["reference/images/palette_trns_128x96.png"]),
    ("Describe this image.", ["reference/images/one_1x1.png"]),
    ("Describe this image.", ["reference/images/wide_2000x10.png"]),
    ("What is different?", ["reference/images/gray_200x150.png", "reference/images/tall_37x500.png", "examples/pictures/shapes.png"]),
]


def as_seen(path):
    picture = ImageOps.exif_transpose(Image.open(path))
    if picture.mode in ("RGBA", "LA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")


def generate(model, processor, prompt, pictures):
    content = [{"type": "image"} for _ in pictures] + [{"type": "text", "text": prompt}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True)
    inputs = processor(text=[text], images=pictures or None, return_tensors="pt")
    with torch.no_grad():
        out = model.generate(
            **inputs,
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            eos_token_id=None,
            output_logits=True,
            return_dict_in_generate=True,
            pad_token_id=processor.tokenizer.pad_token_id,
        )
    prompt_ids = inputs["input_ids"][0].tolist()
    best = torch.stack(out.logits, 1)[0].topk(2, -1).values
    grids = inputs["image_grid_thw"].tolist() if pictures else []
    return prompt_ids, grids, out.sequences[0, len(prompt_ids) :].tolist(), (best[:, 0] - best[:, 1]).tolist()


def compare_tokens(ours, theirs, margins):
    """(equal so far as rounding does not decide, a note)"""
    for step, (a, b) in enumerate(zip(ours, theirs)):
        if a != b:
            return margins[step] < NEAR_TIE, f"differs at token {step}, where transformers' margin is {margins[step]:.1e}"
    return len(ours) == len(theirs), f"smallest margin {min(margins):.1e}"


def main():
    package, checkpoint, binary = sys.argv[1:]
    report = Report()
    processor = AutoProcessor.from_pretrained(checkpoint)
    model = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32, attn_implementation="eager").eval()
    for prompt, files in CASES:
        paths = [os.path.join(HERE, "..", f) for f in files]
        ours = qvl_run(binary, package, prompt, paths, NEW_TOKENS)
        prompt_ids, grids, tokens, margins = generate(model, processor, prompt, [as_seen(p) for p in paths])
        name = ", ".join(os.path.basename(f) for f in files) or "text only"
        report.check(f"{name}: prompt token ids", ours["prompt_token_ids"] == prompt_ids, f"{len(prompt_ids)} tokens")
        report.check(f"{name}: grids", [i["grid_thw"] for i in ours["images"]] == grids, str(grids))
        ok, note = compare_tokens(ours["token_ids"], tokens, margins)
        report.check(f"{name}: greedy tokens", ok, note)
    report.finish()


if __name__ == "__main__":
    main()
