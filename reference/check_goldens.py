#!/usr/bin/env python3
"""The three graphs of a package, one after the other, against the goldens.

usage: check_goldens.py PACKAGE GOLDEN        PACKAGE in fp32, GOLDEN a folder such as
                                              golden/moe; needs only requirements-light.txt

Every case: pictures and frames through the vision graph, tokens and features through the embedding graph, then prefill and 32 greedy
steps of the text graph. Features and logits within 1e-4, tokens identical. `batch_left_padded` runs three prompts of different
lengths as one batch, as they are padded by transformers.
"""

import json
import os
import sys

import numpy as np
from safetensors.numpy import load_file

from check_spec import image_pixels, load_json, video_pixels
from package_tools import session
from ref_np import sample_frames
from report import Report

TOLERANCE = 1e-4


class Package:
    def __init__(self, path, config):
        self.vision, self.embedding, self.text = (session(path, graph) for graph in ("vision", "embedding", "text"))
        self.outputs = [o.name for o in self.text.get_outputs()]
        self.placeholders = [config["image_token_id"], config["video_token_id"]]

    def features(self, pixels, grids):
        return self.vision.run(None, {"pixel_values": pixels, "image_grid_thw": np.array(grids, np.int64)})[0]

    def empty_past(self, batch):
        shapes = {i.name: i.shape for i in self.text.get_inputs() if i.name.startswith("past")}
        return {name: np.zeros((batch, shape[1], 0, shape[3]), np.float32) for name, shape in shapes.items()}

    def step(self, ids, features, mask, positions, past):
        """(logits of the last position [batch, vocabulary], the grown cache)"""
        (embeds,) = self.embedding.run(None, {"input_ids": ids, "image_features": features})
        feed = {"inputs_embeds": embeds, "attention_mask": mask, "position_ids": positions}
        out = dict(zip(self.outputs, self.text.run(None, feed | past)))
        return out.pop("logits")[:, -1], {name.replace("present", "past_key_values"): value for name, value in out.items()}


def case_media(case):
    """(kind, pixel values, grid) of every picture and video: the pictures first, which is their order in the cases."""
    media = []
    for file in case.get("images", []):
        _, pixels, grid = image_pixels(file)
        media.append(("image", pixels, grid))
    for video in case.get("videos", []):
        pixels, grid = video_pixels(sample_frames(video["frames"], video["fps"]))
        media.append(("video", pixels, grid))
    return media


def golden_features(golden, kind):
    parts = [golden[f"{kind}.features"]]
    while f"{kind}.deepstack.{len(parts) - 1}" in golden:
        parts.append(golden[f"{kind}.deepstack.{len(parts) - 1}"])
    return np.concatenate(parts, axis=1)


def generate(package, golden, features, steps):
    """(logits after the prompt, greedy tokens [batch, steps])"""
    ids, mask = golden["input_ids"].astype(np.int64), golden["attention_mask"].astype(np.int64)
    positions = golden["position_ids"].astype(np.int64)
    following = mask.sum(1) + golden["rope_deltas"].astype(np.int64).reshape(-1)
    logits, past = package.step(ids, features, mask, positions, package.empty_past(len(ids)))
    first, tokens = logits, []
    for step in range(steps):
        tokens.append(logits.argmax(-1))
        if step == steps - 1:
            break
        # A generated placeholder would be text to transformers and a missing feature to the graph.
        assert not np.isin(tokens[-1], package.placeholders).any()
        mask = np.concatenate([mask, np.ones((len(ids), 1), np.int64)], axis=1)
        positions = np.broadcast_to((following + step)[None, :, None], (3, len(ids), 1)).copy()
        logits, past = package.step(tokens[-1][:, None], features[:0], mask, positions, past)
    return first, np.stack(tokens, axis=1)


def main():
    path, golden_dir = sys.argv[1:]
    name = os.path.basename(os.path.normpath(golden_dir))
    report = Report()
    with open(os.path.join(path, "config.json"), encoding="utf-8") as file:
        package = Package(path, json.load(file))
    cases = {case["name"]: case for case in load_json(name, "index.json")["cases"]}
    for case in cases.values():
        golden = load_file(os.path.join(golden_dir, f"{case['name']}.safetensors"))
        media = [m for member in case.get("members", [case["name"]]) for m in case_media(cases[member])]
        features = np.zeros((0, package.embedding.get_outputs()[0].shape[2]), np.float32)
        errors = {}
        if media:
            features = package.features(np.concatenate([m[1] for m in media]), [m[2] for m in media])
            expected = [golden_features(golden, kind) for kind in ("image", "video") if f"{kind}.features" in golden]
            if expected:
                errors["features"] = np.abs(features - np.concatenate(expected)).max()
        expected = np.array(case["generated"]).reshape(len(golden["input_ids"]), -1)
        logits, tokens = generate(package, golden, features, expected.shape[1])
        errors["logits"] = np.abs(logits - golden["last_logits"].reshape(logits.shape)).max()
        ok = max(errors.values()) <= TOLERANCE and (tokens == expected).all()
        report.check(f"{name}/{case['name']}", ok, ", ".join(f"{k} {v:.0e}" for k, v in errors.items()))
    report.finish()


if __name__ == "__main__":
    main()
