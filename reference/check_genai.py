#!/usr/bin/env python3
"""Stock onnxruntime-genai opens a package as it is and says the same as qvl.

usage: check_genai.py PACKAGE CHECKPOINT QVL        needs only requirements-light.txt

For text, one picture and two pictures of different sizes, greedy, 32 tokens, two ways:
  its own pipeline   onnxruntime-genai's tokenizer, picture pipeline and positions. The pictures need no resizing.
  our tensors        the token ids from `qvl run --json` and the pixel values of the specification (ref_np.py); also for
                     pictures that are resized.
Why two ways: its resize is not the checkpoint's. It differs by one or two levels of 255 at single pixels, its smart_resize
rounds halves away from zero (400x300 becomes 416x288, not 384x288) and its JPEG decoder is another one; it ignores EXIF.
"""

import json
import os
import sys

import numpy as np
import onnxruntime_genai as og
from PIL import Image

import ref_np
from package_tools import input_dtype, qvl_run, session
from report import Report

IMAGES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "images")
NEW_TOKENS = 32
PICTURE = "<|vision_start|><|image_pad|><|vision_end|>"
CASES = [
    # name, prompt, pictures, can onnxruntime-genai prepare the pictures itself?
    ("text", "How many objects are in the picture?", [], True),
    ("one picture", "Describe this image in detail.", ["exact_256x256.png"], True),
    ("two pictures of different sizes", "Compare the two images.", ["exact_256x256.png", "text_384x384.png"], True),
    ("two pictures, larger first", "What is different?", ["text_384x384.png", "exact_256x256.png"], True),
    ("one resized picture", "Describe this image in detail.", ["gradient_400x300.png"], False),
    ("two resized pictures", "Compare the two images.", ["photo_100x100.png", "tall_37x500.png"], False),
]


def chat(prompt, pictures):
    """The Instruct template for one user message: pictures first, then the text."""
    return f"<|im_start|>user\n{PICTURE * len(pictures)}{prompt}<|im_end|>\n<|im_start|>assistant\n"


def generator(model):
    parameters = og.GeneratorParams(model)
    parameters.set_search_options(do_sample=False, max_length=2048)
    return og.Generator(model, parameters)


def greedy(gen, new_tokens):
    """At most so many tokens; onnxruntime-genai stops of itself after an end-of-sequence token."""
    tokens = []
    while len(tokens) < new_tokens and not gen.is_done():
        gen.generate_next_token()
        tokens.append(int(gen.get_next_tokens()[0]))
    return tokens


def same(tokens, expected, end_tokens):
    return tokens == expected[: len(tokens)] and (len(tokens) == NEW_TOKENS or tokens[-1] in end_tokens)


def own_pipeline(model, prompt, pictures, new_tokens=NEW_TOKENS):
    images = og.Images.open(*pictures) if pictures else None
    inputs = model.create_multimodal_processor()(chat(prompt, pictures), images=images)
    ids = inputs["input_ids"].as_numpy().ravel().tolist()
    gen = generator(model)
    gen.set_inputs(inputs)
    return ids, greedy(gen, new_tokens)


def our_tensors(model, dtype, ids, pictures):
    gen = generator(model)
    if pictures:
        patches, grids = [], []
        for path in pictures:
            pixels = np.asarray(Image.open(path).convert("RGB"))
            resized = ref_np.resize_u8(pixels, *ref_np.smart_resize(*pixels.shape[:2]))
            values, grid = ref_np.patchify([resized])
            patches.append(values)
            grids.append(grid)
        inputs = og.NamedTensors()
        inputs["pixel_values"] = np.concatenate(patches).astype(dtype)
        inputs["image_grid_thw"] = np.array(grids, np.int64)
        inputs["num_image_tokens"] = np.array([sum(t * h * w // 4 for t, h, w in grids)], np.int64)
        gen.set_inputs(inputs)
    gen.append_tokens(np.array(ids, np.int32))
    return greedy(gen, NEW_TOKENS)


def main():
    package, checkpoint, binary = sys.argv[1:]
    report = Report()
    eos = json.load(open(os.path.join(checkpoint, "generation_config.json"), encoding="utf-8"))["eos_token_id"]
    end_tokens = set(eos if isinstance(eos, list) else [eos])
    model = og.Model(package)
    dtype = input_dtype(session(package, "vision"), "pixel_values")
    for name, prompt, files, own in CASES:
        pictures = [os.path.join(IMAGES, f) for f in files]
        expected = qvl_run(binary, package, prompt, pictures, NEW_TOKENS)
        if own:
            ids, tokens = own_pipeline(model, prompt, pictures)
            report.check(f"{name}: prompt token ids, its own tokenizer", ids == expected["prompt_token_ids"], f"{len(ids)} tokens")
            report.check(f"{name}: greedy tokens, its own pipeline", same(tokens, expected["token_ids"], end_tokens))
        tokens = our_tensors(model, dtype, expected["prompt_token_ids"], pictures)
        report.check(f"{name}: greedy tokens, our tensors", same(tokens, expected["token_ids"], end_tokens))
    report.finish()


if __name__ == "__main__":
    main()
