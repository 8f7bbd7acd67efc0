#!/usr/bin/env python3
"""The exported vision graph against transformers.

usage: check_vision.py PACKAGE CHECKPOINT        PACKAGE exported from CHECKPOINT in fp32

1. Every case of vision_cases.py through one session of vision.onnx: merged and DeepStack features within 1e-4.
2. The rotary angles of grids whose sides, in merged tokens, are 1 to 128 (2 to 256 patches): equal to transformers'
   to the last bit. The graph keeps its angles to itself, so the nodes that compute the value `rotary_angles` are taken out
   of the Loop's body into a small model of their own; the numbers come from the exported nodes, run by ONNX Runtime.
"""

import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy as np
import onnx
import onnxruntime as ort

from package_tools import session
from report import Report
from vision_cases import CASES, load_reference, pixel_values, reference_features

ANGLES = "rotary_angles"
TOLERANCE = 1e-4
SIDES = 128


def check_features(report, sess, tower):
    for name, grids in CASES.items():
        (packed,) = sess.run(None, {"pixel_values": pixel_values(grids), "image_grid_thw": np.array(grids, np.int64)})
        expected = np.concatenate(reference_features(tower, grids), axis=1)
        worst = np.abs(packed - expected).max() if packed.shape == expected.shape else np.inf
        report.check(f"features of {name} {grids}", worst <= TOLERANCE, f"largest difference {worst:.1e}")


def loop_body(graph):
    """The body of the Loop that computes the angles, and their full name in it."""
    for node in graph.node:
        if node.op_type == "Loop":
            body = next(a.g for a in node.attribute if a.name == "body")
            for name in (name for inner in body.node for name in inner.output):
                if name.split(".")[-1] == ANGLES:
                    return body, name
    raise SystemExit(f"vision.onnx has no Loop whose body computes `{ANGLES}`")


def needed_nodes(nodes, wanted):
    """The nodes that the wanted values depend on, in order, and the names that none of them makes."""
    wanted, kept = set(wanted), []
    for node in reversed(nodes):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= {name for name in node.input if name}
    made = {name for node in kept for name in node.output}
    return kept[::-1], wanted - made


def angle_model(path):
    """A model from `image_grid_thw` [1, 3] to the angles, made of the exported graph's own nodes."""
    model = onnx.load(path)
    body, angles = loop_body(model.graph)
    inner, free = needed_nodes(body.node, [angles])
    arguments = [i for i in body.input if i.name in free]
    outer, free = needed_nodes(model.graph.node, free - {i.name for i in arguments})
    initializers = [t for g in (model.graph, body) for t in g.initializer if t.name in free]
    inputs = [i for i in model.graph.input if i.name in free]
    output = onnx.helper.make_tensor_value_info(angles, onnx.TensorProto.FLOAT, ["patches", "half_head_dim"])
    graph = onnx.helper.make_graph([*outer, *inner], "rotary_angles", [*arguments, *inputs], [output], initializers)
    return onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version), [i.name for i in arguments]


def reference_angles(tower, grid):
    """What transformers takes the cosine and sine of."""
    import torch
    from transformers.vision_utils import get_vision_position_ids

    positions = get_vision_position_ids(torch.tensor([grid]), tower.spatial_merge_size)
    angles = positions[..., None].float() * tower.rotary_pos_emb.inv_freq
    return torch.cat([angles[:, 0], angles[:, 1]], dim=-1).numpy()


def check_angles(report, path, tower):
    model, arguments = angle_model(path)
    sess = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    shapes = {i.name: [] if not i.shape else [1 if isinstance(d, str) else d for d in i.shape] for i in sess.get_inputs()}
    types = {i.name: bool if "bool" in i.type else np.int64 for i in sess.get_inputs()}
    # Loop arguments: the first picture (iteration 0, condition true, nothing consumed yet).
    feed = {name: np.full(shapes[name], types[name] is bool, types[name]) for name in arguments if name in shapes}
    worst = 0.0
    for side in range(1, SIDES + 1):
        for h, w in ((side, 1), (1, side), (side, SIDES + 1 - side)):
            grid = (1, 2 * h, 2 * w)
            (angles,) = sess.run(None, feed | {"image_grid_thw": np.array([grid], np.int64)})
            expected = reference_angles(tower, grid)
            worst = max(worst, np.abs(angles - expected).max() if angles.shape == expected.shape else np.inf)
    report.check(f"rotary angles of every side from 1 to {SIDES}", worst == 0, f"largest difference {worst:.2e}")


def main():
    package, checkpoint = sys.argv[1:]
    report = Report()
    tower = load_reference(checkpoint)
    check_features(report, session(package, "vision"), tower)
    check_angles(report, os.path.join(package, "vision.onnx"), tower)
    report.finish()


if __name__ == "__main__":
    main()
