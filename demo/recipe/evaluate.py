"""Scores a checkpoint on a question file with transformers itself: `python -m recipe.evaluate`, from demo/.

The same questions, metrics and table as `qvl eval`, written without it, so that each can be held against the other:
`--answers-of-qvl FILE` counts the questions that the file of `qvl eval --answers FILE` answers otherwise; more than one in
two hundred is a failure.
"""

import argparse
import json
import os
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
from PIL import Image, ImageSequence
from transformers import AutoProcessor, Qwen3VLForConditionalGeneration

HERE = Path(__file__).resolve().parents[1]
MOST_TOKENS = 96
MOST_DIFFERENT = 1 / 200
"""Share of the answers in which qvl may differ: rounding decides where two tokens are equally likely."""


def exact(answer: str, reference: str) -> float:
    """Equal but for case, white space and one full stop at the end."""
    normal = lambda text: " ".join(text.split()).removesuffix(".").lower()
    return float(normal(answer) == normal(reference))


def words(answer: str, reference: str) -> float:
    """Share of the reference's words at their places."""
    wanted = reference.split()
    return sum(a == b for a, b in zip(answer.split(), wanted)) / len(wanted)


def items(answer: str, reference: str) -> float:
    """The same things in any order."""
    split = lambda text: sorted(
        re.sub("^an? ", "", item.strip()) for item in re.split(", | and | on ", text.strip().lower().removesuffix("."))
    )
    return float(split(answer) == split(reference))


def boxes(answer: str, reference: str) -> float:
    """Mean over the reference's boxes of the overlap with the best box of the same label that is still free."""
    wanted = json.loads(reference)
    try:
        free = json.loads(re.sub("^```(json)?|```$", "", answer.strip()))
        total = 0.0
        for one in wanted:
            overlaps = [
                (overlap(one["bbox_2d"], f["bbox_2d"]), i) for i, f in enumerate(free) if f["label"] == one["label"]
            ]
            best, index = max(overlaps, default=(0.0, -1))
            total += best
            if index >= 0:
                free.pop(index)
        return total / len(wanted)
    except (ValueError, TypeError, KeyError):
        return 0.0


def overlap(a: list[float], b: list[float]) -> float:
    """Intersection over union of two boxes."""
    area = lambda box: max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])
    common = area([max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])])
    union = area(a) + area(b) - common
    return common / union if union > 0 else 0.0


METRICS: dict[str, Callable[[str, str], float]] = dict(exact=exact, words=words, items=items, boxes=boxes)


class Model:
    """A checkpoint in float32."""

    def __init__(self, folder: Path):
        self.processor = AutoProcessor.from_pretrained(folder)
        self.model = Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()

    def inputs(self, messages: list[dict], folder: Path) -> dict[str, torch.Tensor]:
        """The model's input for messages whose media lie in `folder`."""
        parts = [p for m in messages if isinstance(m["content"], list) for p in m["content"]]
        prompt = self.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        media = {}
        if pictures := [Image.open(folder / p["image"]).convert("RGB") for p in parts if p["type"] == "image"]:
            media["images"] = pictures
        if clips := [frames(folder / p["video"]) for p in parts if p["type"] == "video"]:
            media["videos"] = clips
            indices = [list(range(len(clip))) for clip in clips]
            media["video_metadata"] = [dict(fps=2.0, total_num_frames=len(i), frames_indices=i) for i in indices]
            media["do_sample_frames"] = False
        return self.processor(text=[prompt], return_tensors="pt", **media)

    @torch.no_grad()
    def answer(self, messages: list[dict], folder: Path) -> str:
        """The greedy answer."""
        inputs = self.inputs(messages, folder)
        ids = self.model.generate(**inputs, do_sample=False, max_new_tokens=MOST_TOKENS)
        return self.processor.tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def frames(path: Path) -> torch.Tensor:
    """uint8 [frames, 3, height, width] of an animation."""
    with Image.open(path) as animation:
        pictures = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(animation)]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


def questions(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def table(scores: dict[tuple[str, str], list[float]]) -> str:
    """One line for each task, and the mean over the tasks."""
    means = {key: 100 * sum(values) / len(values) for key, values in scores.items()}
    lines = [
        f"{task:14} {metric:6} {len(scores[task, metric]):5} {mean:6.1f}" for (task, metric), mean in means.items()
    ]
    return "\n".join([*lines, f"{'overall':27} {sum(means.values()) / len(means):6.1f}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", type=Path, default=HERE / "model")
    parser.add_argument("--data", type=Path, default=HERE / "heldout" / "questions.jsonl")
    parser.add_argument("--limit", type=int, default=10**9, help="only so many questions")
    parser.add_argument("--answers-of-qvl", type=Path, help="what `qvl eval --answers` wrote")
    options = parser.parse_args()
    model = Model(options.model)
    theirs = {a["id"]: a["answer"] for a in questions(options.answers_of_qvl)} if options.answers_of_qvl else {}
    scores, different = defaultdict(list), []
    for question in questions(options.data)[: options.limit]:
        answer = model.answer(question["messages"], options.data.parent)
        scores[question["task"], question["metric"]].append(METRICS[question["metric"]](answer, question["answer"]))
        if theirs.get(question["id"], answer) != answer:
            different.append(f"{question['id']}: transformers {answer!r}, qvl {theirs[question['id']]!r}")
    print(table(scores))
    if theirs:
        print("\n".join([f"answers that differ: {len(different)} of {len(theirs)}", *different]))
    if len(different) > MOST_DIFFERENT * len(theirs):
        raise SystemExit("qvl and transformers disagree")


if __name__ == "__main__":
    main()
