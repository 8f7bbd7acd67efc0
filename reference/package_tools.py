"""Shared by the check scripts: sessions on a package's graphs, and the qvl program."""

import contextlib
import glob
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime as ort

GRAPHS = ("vision", "embedding", "text")
FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


def session(package, graph, severity=3):
    options = ort.SessionOptions()
    options.log_severity_level = severity
    return ort.InferenceSession(os.path.join(package, f"{graph}.onnx"), options, providers=["CPUExecutionProvider"])


def input_dtype(sess, name):
    return FLOATS[next(i.type for i in sess.get_inputs() if i.name == name)]


@contextlib.contextmanager
def captured_stderr():
    """Catches what native code writes to file descriptor 2; yields a list that holds the text afterwards."""
    lines = []
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            sink.seek(0)
            lines += [line for line in sink.read().decode(errors="replace").splitlines() if line.strip()]


def runtime_library():
    """The ONNX Runtime library that this Python imports."""
    folder = os.path.join(os.path.dirname(ort.__file__), "capi")
    names = ("libonnxruntime.so*", "libonnxruntime*.dylib", "onnxruntime.dll")
    return next(f for name in names for f in sorted(glob.glob(os.path.join(folder, name))))


def qvl_run(binary, model, prompt, images=(), new_tokens=32, ignore_eos=True, engine="ort"):
    """`qvl run --json`, greedy; the engine `ort` is on the same ONNX Runtime as this script."""
    command = [binary, "run", model, "--prompt", prompt, "--no-sample", "--json", "--max-new-tokens", str(new_tokens)]
    command += ["--engine", engine]
    if ignore_eos:
        command.append("--ignore-eos")
    for image in images:
        command += ["--image", image]
    environment = {"ORT_DYLIB_PATH": runtime_library(), **os.environ}
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\nended with {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)
