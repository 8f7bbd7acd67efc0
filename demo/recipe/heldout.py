"""Writes demo/heldout, 625 questions about pictures that training never sees, and demo/calibration, 68 others.

usage, from demo/: python -m recipe.heldout

Both have seeds and picture sizes of their own, and the held-out set has words of its own. Every byte follows from the seeds,
given the packages of requirements.txt: Pillow's version decides the bytes of a PNG.
"""

import json
import pathlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from recipe.draw.canvas import Format, native_format
from recipe.draw.choose import pick
from recipe.tasks.chart import sample_chart
from recipe.tasks.clip import sample_clip
from recipe.tasks.pair import sample_pair
from recipe.tasks.printed import Printer, word_list
from recipe.tasks.sample import FRAMES_PER_SECOND, Question, Sample
from recipe.tasks.scene import sample_scene
from recipe.tasks.text import sample_text
from recipe.tasks.words import sample_words

HERE = pathlib.Path(__file__).resolve().parents[1]
SIZES = [
    (100, 140),
    (150, 118),
    (110, 110),
    (92, 124),
    (136, 100),
    (84, 118),
    (122, 86),
    (76, 108),
    (90, 90),
    (170, 138),
]
"""(height, width) in pixels; no side is a multiple of 32, so the processor resizes every one"""
CLIP_SIZES = [(100, 140), (110, 110), (122, 86)]
"""(height, width) of clips in pixels"""
PER_SAMPLE = {"count": 2, "colour": 2, "box": 2, "chart": 3, "pair": 3, "motion": 2, "words": 5}
"""most questions of a task about one sample; 1 for the tasks that are not named"""


@dataclass(frozen=True)
class QuestionSet:
    """What a folder of questions is made from."""

    name: str
    seed: int
    words: str
    """the word list that is printed"""
    quotas: dict[str, dict[str, int]]
    """family of samples -> task -> number of questions"""


HELDOUT = QuestionSet(
    "heldout",
    20_260_401,
    "heldout",
    {
        "scene": {
            "describe": 40,
            "count": 50,
            "colour": 50,
            "shape": 30,
            "position": 30,
            "box": 60,
            "followup": 25,
            "followup_items": 25,
            "followup_box": 25,
        },
        "text": {"read": 80, "count": 10, "colour": 10},
        "chart": {"chart": 60},
        "pair": {"pair": 60},
        "clip": {"motion": 50},
        "words": {"words": 20},
    },
)
CALIBRATION = QuestionSet(
    "calibration",
    20_260_402,
    "training",
    {
        "scene": {
            "describe": 6,
            "count": 4,
            "colour": 4,
            "shape": 4,
            "position": 4,
            "box": 8,
            "followup": 2,
            "followup_items": 2,
            "followup_box": 2,
        },
        "text": {"read": 12},
        "chart": {"chart": 6},
        "pair": {"pair": 6},
        "clip": {"motion": 4},
        "words": {"words": 4},
    },
)


def random_size(rng: np.random.Generator) -> Format:
    return native_format(*pick(rng, SIZES))


def families(words: str) -> dict[str, Callable[[np.random.Generator], Sample]]:
    """The samplers, which print the words of this list."""
    printer = Printer(word_list(words), 0.25)
    return {
        "scene": lambda rng: sample_scene(rng, random_size(rng), 1.0),
        "text": lambda rng: sample_text(rng, random_size(rng), 1.0, printer),
        "chart": lambda rng: sample_chart(rng, random_size(rng), 1.0),
        "pair": lambda rng: sample_pair(rng, random_size(rng), 1.0),
        "clip": lambda rng: sample_clip(rng, native_format(*pick(rng, CLIP_SIZES)), 1.0),
        "words": lambda rng: sample_words(rng, word_list(words)),
    }


def take(questions: list[Question], left: Counter[str]) -> list[Question]:
    """The questions that the quotas have room for; `left` counts down."""
    here: Counter[str] = Counter()
    taken = []
    for question in questions:
        if left[question.task] > 0 and here[question.task] < PER_SAMPLE.get(question.task, 1):
            left[question.task] -= 1
            here[question.task] += 1
            taken.append(question)
    return taken


def write_clip(path: pathlib.Path, frames: list[np.ndarray]) -> None:
    """A GIF that holds the frames exactly.

    Raises ValueError where the frames read back differ, as they would with more than 256 colours.
    """
    colours, indices = np.unique(np.stack(frames).reshape(-1, 3), axis=0, return_inverse=True)
    if len(colours) > 256:
        raise ValueError(f"{path.name}: {len(colours)} colours in the clip, a GIF holds 256: draw it without noise")
    images = []
    for frame in indices.reshape(len(frames), *frames[0].shape[:2]).astype(np.uint8):
        image = Image.fromarray(frame)
        image.putpalette(colours.astype(np.uint8).tobytes())
        images.append(image)
    milliseconds = round(1000 / FRAMES_PER_SECOND)
    images[0].save(path, save_all=True, append_images=images[1:], duration=milliseconds, loop=0, disposal=1)
    with Image.open(path) as written:
        count = written.n_frames
        for index in range(count):
            written.seek(index)
            if count != len(frames) or not np.array_equal(np.asarray(written.convert("RGB")), frames[index]):
                raise ValueError(f"{path.name}: frame {index} of the GIF is not the frame that was drawn")


def write_media(folder: pathlib.Path, name: str, sample: Sample) -> list[dict[str, str]]:
    """Writes the sample's pictures or clip and returns them as contents of a message."""
    contents = []
    for index, picture in enumerate(sample.pictures):
        suffix = f"-{index + 1}" if len(sample.pictures) > 1 else ""
        path = f"pictures/{name}{suffix}.png"
        Image.fromarray(picture).save(folder / path, optimize=True)
        contents.append({"type": "image", "image": path})
    if sample.frames:
        path = f"clips/{name}.gif"
        write_clip(folder / path, sample.frames)
        contents.append({"type": "video", "video": path})
    return contents


def record(identity: str, question: Question, media: list[dict[str, str]]) -> dict[str, object]:
    """A line of questions.jsonl: the turns before the last one carry their reference answers."""
    messages: list[dict[str, object]] = []
    for index, (text, answer) in enumerate(question.turns):
        content = [*media, {"type": "text", "text": text}] if index == 0 and media else text
        messages.append({"role": "user", "content": content})
        messages.append({"role": "assistant", "content": answer})
    reference = messages.pop()["content"]
    return {
        "id": identity,
        "task": question.task,
        "messages": messages,
        "answer": reference,
        "metric": question.metric,
    }


def family_records(
    folder: pathlib.Path,
    family: str,
    sampler: Callable[[np.random.Generator], Sample],
    quotas: dict[str, int],
    rng: np.random.Generator,
) -> list[dict[str, object]]:
    """Draws samples of a family until its quotas are full; samples that add no question are not written."""
    left = Counter(quotas)
    records: list[dict[str, object]] = []
    number = 0
    while left.total() > 0:
        sample = sampler(rng)
        taken = take(sample.questions, left)
        if not taken:
            continue
        number += 1
        name = f"{family}-{number:04}"
        media = write_media(folder, name, sample)
        seen: Counter[str] = Counter()
        for question in taken:
            seen[question.task] += 1
            records.append(record(f"{name}-{question.task}-{seen[question.task]}", question, media))
    return records


def write(questions: QuestionSet, folder: pathlib.Path) -> int:
    """Writes questions, pictures and clips in place of those that are there; returns the number of questions."""
    for name, pattern in (("pictures", "*.png"), ("clips", "*.gif")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for old in (folder / name).glob(pattern):
            old.unlink()
    records = []
    for index, (family, sampler) in enumerate(families(questions.words).items()):
        rng = np.random.default_rng([questions.seed, index])
        records += family_records(folder, family, sampler, questions.quotas[family], rng)
    lines = "".join(json.dumps(one) + "\n" for one in records)
    (folder / "questions.jsonl").write_text(lines, encoding="utf-8")
    return len(records)


def main() -> None:
    for questions in (HELDOUT, CALIBRATION):
        folder = HERE / questions.name
        print(f"{write(questions, folder)} questions in {folder}")


if __name__ == "__main__":
    main()
