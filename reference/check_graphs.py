#!/usr/bin/env python3
"""Are the three graphs of a package valid ONNX that ONNX Runtime loads and runs without a word?

usage: check_graphs.py PACKAGE        needs only requirements-light.txt

onnx.checker with full shape inference, strict shape inference, the external data's layout, the names that the package's
contract gives the inputs and outputs, and a run of each graph. Any line that ONNX Runtime logs at warning level fails.
"""

import json
import os
import stat
import sys
import tempfile

import numpy as np
import onnx

from package_tools import GRAPHS, captured_stderr, input_dtype, session
from report import Report

PAGE = 4096


def initializers(graph):
    """All initializers, those of subgraphs too."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            for subgraph in [attribute.g, *attribute.graphs]:
                yield from initializers(subgraph)


def check_external_data(report, package, graph, model):
    data = os.path.join(package, f"{graph}.onnx.data")
    info = os.lstat(data)
    report.check(f"{graph}: one plain, single-link data file", stat.S_ISREG(info.st_mode) and info.st_nlink == 1)
    entries = [{e.key: e.value for e in t.external_data} for t in initializers(model.graph) if t.data_location == onnx.TensorProto.EXTERNAL]
    with open(os.path.join(package, "package.json"), encoding="utf-8") as file:
        shared = json.load(file)["graphs"][graph].get("shared", {})
    files = {os.path.basename(data), *(f"{owner}.onnx.data" for owner in shared.values())}
    report.check(f"{graph}: all external tensors are in it, or shared", {e["location"] for e in entries} == files, f"{len(entries)} tensors")
    report.check(f"{graph}: tensors start at pages", all(int(e["offset"]) % PAGE == 0 for e in entries))
    sizes = {name: os.stat(os.path.join(package, name)).st_size for name in files}
    inside = all(int(e["offset"]) + int(e["length"]) <= sizes[e["location"]] for e in entries)
    report.check(f"{graph}: tensors end inside the file", inside)


def expected_names(graph, layers):
    past = [f"past_key_values.{i}.{kind}" for i in range(layers) for kind in ("key", "value")]
    present = [name.replace("past_key_values", "present") for name in past]
    return {
        "vision": ({"pixel_values", "image_grid_thw"}, {"image_features"}),
        "embedding": ({"input_ids", "image_features"}, {"inputs_embeds"}),
        "text": ({"inputs_embeds", "attention_mask", "position_ids", *past}, {"logits", *present}),
    }[graph]


def run_vision(sess):
    dtype = input_dtype(sess, "pixel_values")
    for grids in ([(1, 4, 6)], [(1, 4, 6), (2, 2, 2)]):
        pixels = np.zeros((sum(t * h * w for t, h, w in grids), 1536), dtype)
        (features,) = sess.run(None, {"pixel_values": pixels, "image_grid_thw": np.array(grids, np.int64)})
        assert features.shape[0] == len(pixels) // 4, features.shape


def run_embedding(sess, config):
    dtype, width = input_dtype(sess, "image_features"), config["decoder"]["hidden_size"]
    for pictures in (0, 3):
        ids = np.array([[5, *[config["image_token_id"]] * pictures, 7]], np.int64)
        (rows,) = sess.run(None, {"input_ids": ids, "image_features": np.ones((pictures, width), dtype)})
        assert rows.shape == (1, pictures + 2, width), rows.shape
        assert (rows[0, 1 : 1 + pictures] == 1).all(), "features are not in their places"


def run_text(sess, config):
    """A prompt of five tokens, then one more, for two sequences at once."""
    decoder = config["decoder"]
    dtype, width = input_dtype(sess, "inputs_embeds"), decoder["hidden_size"]
    empty = np.zeros((2, decoder["num_key_value_heads"], 0, decoder["head_size"]), dtype)
    past = {i.name: empty for i in sess.get_inputs() if i.name.startswith("past")}
    names, length = [o.name for o in sess.get_outputs()], 0
    for new in (5, 1):
        positions = np.broadcast_to(np.arange(length, length + new), (3, 2, new)).copy()
        length += new
        feed = {
            "inputs_embeds": np.ones((2, new, width), dtype),
            "attention_mask": np.ones((2, length), np.int64),
            "position_ids": positions,
        }
        out = dict(zip(names, sess.run(None, feed | past)))
        assert out["logits"].shape[2] == config["vocab_size"] and np.isfinite(out["logits"]).all()
        past = {name.replace("present", "past_key_values"): value for name, value in out.items() if name != "logits"}
        assert all(v.shape[2] == length for v in past.values())


def main():
    package = sys.argv[1]
    report = Report()
    config = json.load(open(os.path.join(package, "genai_config.json"), encoding="utf-8"))["model"]
    for graph in GRAPHS:
        path = os.path.join(package, f"{graph}.onnx")
        onnx.checker.check_model(path, full_check=True)
        with tempfile.TemporaryDirectory() as scratch:
            onnx.shape_inference.infer_shapes_path(path, os.path.join(scratch, "inferred.onnx"), check_type=True, strict_mode=True)
        report.check(f"{graph}: onnx.checker and strict shape inference", True)
        model = onnx.load(path, load_external_data=False)
        check_external_data(report, package, graph, model)
        names = {i.name for i in model.graph.input}, {o.name for o in model.graph.output}
        report.check(f"{graph}: inputs and outputs of the contract", names == expected_names(graph, config["decoder"]["num_hidden_layers"]))
        with captured_stderr() as lines:
            sess = session(package, graph, severity=2)
            if graph == "vision":
                run_vision(sess)
            elif graph == "embedding":
                run_embedding(sess, config)
            else:
                run_text(sess, config)
        report.check(f"{graph}: loads and runs without warnings", not lines, " | ".join(lines[:3]))
    report.finish()


if __name__ == "__main__":
    main()
