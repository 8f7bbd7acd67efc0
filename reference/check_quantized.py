#!/usr/bin/env python3
"""A package's quantised weights and what ONNX Runtime makes of them.

usage: check_quantized.py PACKAGE CHECKPOINT GOLDEN     PACKAGE: int8 or int4 with accuracy level 0, from CHECKPOINT; needs only
                                                        requirements-light.txt

1. Codes, scales and zero points of every quantised tensor equal a plain recomputation (quantize_np.py), bit for bit.
2. The text graph on ONNX Runtime equals the NumPy model (ref_np.py, float64) with the unpacked weights.
"""

import json
import os
import sys

# ONNX Runtime rounds the activations of 8-bit experts to int8 at every accuracy level, unless it is told not to.
os.environ["ORT_QMOE_CPU_QNBIT_GEMM"] = "fp32"
import numpy as np
import onnx
from onnx.numpy_helper import to_array
from safetensors.numpy import load_file

import ref_np
from check_goldens import Package
from quantize_np import quantize, unpack
from report import Report

TOLERANCE = 3e-4
EXPERTS = ".experts."


def attributes(node):
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def quantized_nodes(model):
    """(tensor's name, bits, block size) of every quantised tensor."""
    for node in model.graph.node:
        a = attributes(node)
        if node.op_type == "MatMulNBits":
            yield node.input[1].removesuffix(".codes"), a["bits"], a["block_size"]
        elif node.op_type == "QMoE":
            for index in (2, 5):
                yield node.input[index].removesuffix(".codes"), a["expert_weight_bits"], a["block_size"]


def in_graph_order(checkpoint, name):
    """The checkpoint's tensor with rows of inputs, [.., outputs, inputs]; experts' gate and up rows in turn."""
    weight = checkpoint(name)
    if EXPERTS not in name:
        return weight.reshape(len(weight), -1)
    hidden = checkpoint.cfg["text_config"]["hidden_size"]
    if name.endswith("gate_up_proj"):
        weight = weight.transpose(0, 2, 1) if weight.shape[1] == hidden else weight
        half = weight.shape[1] // 2
        return np.stack([weight[:, :half], weight[:, half:]], 2).reshape(weight.shape)
    return weight.transpose(0, 2, 1) if weight.shape[2] == hidden else weight


def in_hub_order(checkpoint, name, weight):
    """The inverse of in_graph_order, in the layout of the Hub."""
    if EXPERTS not in name:
        return weight.reshape(checkpoint(name).shape)
    if name.endswith("gate_up_proj"):
        weight = np.concatenate([weight[:, 0::2], weight[:, 1::2]], 1)
    return weight.transpose(0, 2, 1)


def blocks_of(weight, size):
    """Float32 [blocks, size], the last block of a row filled with zeros."""
    columns = weight.shape[-1]
    flat = weight.reshape(-1, columns).astype(np.float32)
    flat = np.pad(flat, ((0, 0), (0, -columns % size)))
    return flat.reshape(-1, size)


def check_weights(report, package, checkpoint):
    """Compares every quantised tensor and puts its unpacked values into the checkpoint."""
    with open(os.path.join(package, "package.json"), encoding="utf-8") as file:
        settings = json.load(file)["graphs"]["text"]["quantization"]
    model = onnx.load(os.path.join(package, "text.onnx"))
    stored = {t.name: t for t in model.graph.initializer}
    count, wrong, unpacked = 0, [], {}
    for name, bits, size in quantized_nodes(model):
        weight = in_graph_order(checkpoint, name)
        symmetric = settings["symmetric"] or EXPERTS in name
        codes, scales, zeros = quantize(blocks_of(weight, size), bits, symmetric, settings["method"])
        found_codes = unpack(to_array(stored[f"{name}.codes"]), bits).reshape(codes.shape)
        found_scales = to_array(stored[f"{name}.scales"]).reshape(-1)
        equal = (found_codes == codes).all() and found_scales.tobytes() == scales.astype(np.float32).tobytes()
        if not symmetric:
            per_row = -(-weight.shape[-1] // size)
            found_zeros = unpack(to_array(stored[f"{name}.zero_points"]), bits)[:, :per_row].reshape(-1)
            equal = equal and (found_zeros == zeros).all()
        count += 1
        if not equal:
            wrong.append(name)
        values = (found_codes - zeros[:, None]) * found_scales[:, None]
        values = values.reshape(*weight.shape[:-1], -1)[..., : weight.shape[-1]].astype(np.float64)
        unpacked[name] = in_hub_order(checkpoint, name, values)
    report.check(f"{count} quantised tensors equal a recomputation", count > 0 and not wrong, ", ".join(wrong[:3]))
    # A tied head is stored apart from the table.
    table = "model.language_model.embed_tokens.weight"
    if table in unpacked:
        unpacked["lm_head.weight"] = unpacked.pop(table)
    checkpoint.t.update(unpacked)


def check_logits(report, package, checkpoint, golden):
    with open(os.path.join(golden, "index.json"), encoding="utf-8") as file:
        case = next(c for c in json.load(file)["cases"] if c["name"] == "text_only")
    graphs = Package(package, checkpoint.cfg)
    width = graphs.embedding.get_inputs()[1].shape[1]
    ids = np.array(prompt_ids(golden), np.int64)
    positions = np.tile(np.arange(len(ids) + len(case["generated"])), (3, 1))
    past, feed, found = graphs.empty_past(1), ids, []
    for step in range(8):
        total = len(ids) + step
        at = positions[:, None, total - len(feed) : total]
        nothing = np.zeros((0, width), np.float32)
        logits, past = graphs.step(feed[None], nothing, np.ones((1, total), np.int64), at, past)
        found.append(logits[0])
        feed = np.array([case["generated"][step]], np.int64)
    sequence = ids.tolist() + case["generated"][:7]
    expected, _ = ref_np.text(checkpoint, sequence, positions[:, : len(sequence)])
    error = np.abs(np.array(found) - expected[len(ids) - 1 :]).max()
    report.check("ONNX Runtime equals the model with the unpacked weights", error < TOLERANCE, f"{error:.1e}")


def prompt_ids(golden):
    return load_file(os.path.join(golden, "text_only.safetensors"))["input_ids"][0]


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    package, checkpoint_path, golden = sys.argv[1:]
    checkpoint = ref_np.Ckpt(checkpoint_path)
    report = Report()
    check_weights(report, package, checkpoint)
    check_logits(report, package, checkpoint, golden)
    report.finish()


if __name__ == "__main__":
    main()
