#!/usr/bin/env python3
"""A package's quantised weights and what ONNX Runtime makes of them.

usage: check_quantized.py PACKAGE CHECKPOINT GOLDEN     PACKAGE: int8 or int4 with accuracy level 0, from CHECKPOINT; needs only
                                                        requirements-light.txt

1. Codes, scales and zero points of every quantised tensor of the embedding and text graphs equal a plain recomputation
   (quantize_np.py), bit for bit; package.json says their precisions and relative errors; what it calls shared is stored once.
   What awq and gptq fitted to calibration is taken as it is stored: gptq's relative errors must be those of the checkpoint's
   weights, and awq's norms and routers come from the package too.
2. Rows of a quantised token table come out of the embedding graph as the recomputation has them, bit for bit.
3. The text graph on ONNX Runtime equals the NumPy model (ref_np.py, float64) with the unpacked weights.
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
from package_tools import input_dtype, session
from quantize_np import quantize, relative_error, unpack, unquantize
from report import Report

TOLERANCE = 3e-4
EXPERTS = ".experts."
TABLE = "model.language_model.embed_tokens.weight"
FITTED = ("awq", "gptq")
# Where the codes are among a node's inputs.
CODES_AT = {"MatMulNBits": 1, "GatherBlockQuantized": 0}


def attributes(node):
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def quantized_nodes(model):
    """(tensor's name, bits, block size) of every quantised tensor."""
    for node in model.graph.node:
        a = attributes(node)
        if node.op_type in CODES_AT:
            yield node.input[CODES_AT[node.op_type]].removesuffix(".codes"), a["bits"], a["block_size"]
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


def stored_as(weight, bits, size, symmetric, method):
    """The recomputed codes, scales and zero points of a tensor, the exporter's float32 values in its shape, and what is lost."""
    x = blocks_of(weight, size)
    codes, scales, zeros = quantize(x, bits, symmetric, method)
    values = unquantize(codes, scales, zeros)
    lost = relative_error(x, values)
    return (codes, scales, zeros), values.reshape(*weight.shape[:-1], -1)[..., : weight.shape[-1]], lost


def is_stored(stored, name, weight, bits, size, symmetric, expected):
    codes, scales, zeros = expected
    found = unpack(to_array(stored[f"{name}.codes"]), bits).reshape(codes.shape)
    equal = (found == codes).all() and to_array(stored[f"{name}.scales"]).tobytes() == scales.astype(np.float32).tobytes()
    if not symmetric:
        per_row = -(-weight.shape[-1] // size)
        found = unpack(to_array(stored[f"{name}.zero_points"]), bits)[:, :per_row].reshape(-1)
        equal = equal and (found == zeros).all()
    return equal


def as_stored(stored, name, weight, bits, size, symmetric):
    """The values of a tensor's stored codes in its shape, and what is lost."""
    x = blocks_of(weight, size)
    codes = unpack(to_array(stored[f"{name}.codes"]), bits).reshape(x.shape)
    zeros = np.full(len(x), 1 << (bits - 1))
    if not symmetric:
        per_row = -(-weight.shape[-1] // size)
        zeros = unpack(to_array(stored[f"{name}.zero_points"]), bits)[:, :per_row].reshape(-1)
    values = unquantize(codes, to_array(stored[f"{name}.scales"]).reshape(-1), zeros)
    return values.reshape(*weight.shape[:-1], -1)[..., : weight.shape[-1]], relative_error(x, values)


def folded(stored):
    """What awq changes besides matrices: norms, and routers in the checkpoint's order."""
    for name, tensor in stored.items():
        if name.endswith("layernorm.weight"):
            yield name, to_array(tensor)
        elif name.endswith(".mlp.gate.weight"):
            yield name, to_array(tensor).T


def check_graph(report, package, graph, manifest, checkpoint):
    """Compares every quantised tensor of a graph; returns their values by name, in the graph's order."""
    model = onnx.load(os.path.join(package, f"{graph}.onnx"))
    stored = {t.name: t for t in model.graph.initializer}
    info = manifest["graphs"][graph]
    settings = info.get("quantization")
    nodes = list(quantized_nodes(model))
    if settings is None:
        report.check(f"{graph}: nothing is quantised, as the manifest says", not nodes)
        return {}
    wrong, badly_said, fitted, values = [], [], [], {}
    for name, bits, size in nodes:
        weight = in_graph_order(checkpoint, name)
        symmetric = settings["symmetric"] or EXPERTS in name
        method = settings["method"]
        if method in FITTED and ".layers." in name:
            fitted.append(name)
            values[name], lost = as_stored(stored, name, weight, bits, size, symmetric)
        else:
            method = "search" if method in FITTED else method
            expected, values[name], lost = stored_as(weight, bits, size, symmetric, method)
            if not is_stored(stored, name, weight, bits, size, symmetric, expected):
                wrong.append(name)
        precision = settings.get("mix", {}).get(name, info["precision"])
        is_scaled = settings["method"] == "awq" and name in fitted
        if precision != f"int{bits}" or not is_scaled and abs(settings["relative_error"][name] / lost - 1) > 1e-3:
            badly_said.append(name)
    recomputed = len(nodes) - len(fitted)
    what = f"{graph}: {recomputed} quantised tensors equal a recomputation, {len(fitted)} were fitted"
    report.check(what, nodes and not wrong, ", ".join(wrong[:3]))
    complete = settings["relative_error"].keys() == values.keys()
    report.check(f"{graph}: the manifest says their precision and error", complete and not badly_said, ", ".join(badly_said[:3]))
    halves = {name: t for name, t in stored.items() if t.data_type == onnx.TensorProto.FLOAT16}
    for name in halves.keys() & settings.get("mix", {}).keys():
        weight = to_array(halves[name]).astype(np.float32)
        values[name] = weight if EXPERTS in name else weight.T
    if settings["method"] == "awq":
        values.update(folded(stored))
    return values


def check_shared(report, package, manifest):
    """Tensors that the manifest calls shared are the same bytes of one file in both graphs."""

    def places(graph):
        model = onnx.load(os.path.join(package, f"{graph}.onnx"), load_external_data=False)
        return {t.name: {e.key: e.value for e in t.external_data} for t in model.graph.initializer if t.external_data}

    for name, owner in manifest["graphs"]["text"].get("shared", {}).items():
        own, other = ({n: p for n, p in places(g).items() if n.startswith(name)} for g in ("text", owner))
        report.check(f"{name} is stored once", own and own == other, ", ".join(own))


def check_rows(report, package, table):
    """The embedding graph's rows are the table's unpacked values, to the last bit."""
    graph = session(package, "embedding")
    width, dtype = graph.get_inputs()[1].shape[1], input_dtype(graph, "image_features")
    ids = np.arange(len(table), dtype=np.int64)[None]
    (found,) = graph.run(None, {"input_ids": ids, "image_features": np.zeros((0, width), dtype)})
    report.check("embeddings equal the unpacked rows", np.array_equal(found[0, :, : table.shape[1]], table.astype(dtype)))


def check_weights(report, package, checkpoint):
    """Checks what is stored and puts its unpacked values into the checkpoint."""
    with open(os.path.join(package, "package.json"), encoding="utf-8") as file:
        manifest = json.load(file)
    embedding, text = (check_graph(report, package, graph, manifest, checkpoint) for graph in ("embedding", "text"))
    check_shared(report, package, manifest)
    if TABLE in embedding:
        check_rows(report, package, embedding[TABLE])
    # The head's values are its own, be they stored with the table's or apart.
    if TABLE in text:
        text["lm_head.weight"] = text.pop(TABLE)
    elif TABLE in embedding and "lm_head.weight" not in checkpoint.t:
        text["lm_head.weight"] = checkpoint(TABLE)
    for name, values in (embedding | text).items():
        shaped = values if name == "lm_head.weight" else in_hub_order(checkpoint, name, values)
        checkpoint.t[name] = shaped.astype(np.float64)


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
