"""Ten of the held-out questions, about pictures that no runtime has to resize.

The pictures are re-saved at the size that the model sees, resized as the specification says, so that every runtime starts
from the same pixels: resizing is what runtimes differ in.
"""

import collections
import json
import os

import numpy as np
from PIL import Image

import ref_np

COUNT = 10


def single(question):
    """The picture and the text of a question about one picture in one turn; else nothing."""
    content = question["messages"][0]["content"]
    if len(question["messages"]) == 1 and [isinstance(part, dict) and part["type"] for part in content] == ["image", "text"]:
        return content[0]["image"], content[1]["text"]
    return None


def choose(questions):
    """Ten questions, by turns from every task, no two about the same picture."""
    tasks, pictures, chosen = collections.defaultdict(list), set(), []
    for question in filter(single, questions):
        tasks[question["task"]].append(question)
    for _ in range(COUNT):
        for of_task in tasks.values():
            fresh = next((question for question in of_task if single(question)[0] not in pictures), None)
            if fresh:
                pictures.add(single(fresh)[0])
                chosen.append(fresh)
    assert len(chosen) >= COUNT, f"only {len(chosen)} pictures with a question about them alone"
    return chosen[:COUNT]


def resaved(path, budget, folder):
    """Writes the picture at the size that a model with this budget of pixels sees; returns the new path."""
    pixels = np.asarray(Image.open(path).convert("RGB"))
    size = ref_np.smart_resize(*pixels.shape[:2], lo=budget["shortest_edge"], hi=budget["longest_edge"])
    assert ref_np.smart_resize(*size, lo=budget["shortest_edge"], hi=budget["longest_edge"]) == size, f"{path}: {size} would change again"
    target = os.path.join(folder, os.path.basename(path))
    Image.fromarray(ref_np.resize_u8(pixels, *size)).save(target)
    return target


def prepare(questions_file, checkpoint, folder):
    """Ten questions as {id, image, prompt}, with their pictures in `folder`."""
    with open(os.path.join(checkpoint, "preprocessor_config.json"), encoding="utf-8") as file:
        budget = json.load(file)["size"]
    with open(questions_file, encoding="utf-8") as file:
        chosen = choose([json.loads(line) for line in file if line.strip()])
    os.makedirs(folder, exist_ok=True)
    prepared = []
    for question in chosen:
        picture, prompt = single(question)
        image = resaved(os.path.join(os.path.dirname(questions_file), picture), budget, folder)
        prepared.append({"id": question["id"], "image": image, "prompt": prompt})
    return prepared
