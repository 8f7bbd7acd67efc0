"""Samples, their questions, and the held-out set."""

import json
from collections import Counter

import numpy as np
import pytest

from recipe import heldout
from recipe.draw.canvas import native_format
from recipe.draw.colours import COLOURS
from recipe.draw.labels import KINDS
from recipe.tasks import SAMPLERS, Sample
from recipe.tasks.phrases import box_answer, corpus, listing
from recipe.tasks.printed import random_letters, training_printer, word_list
from recipe.tasks.text import text
from recipe.tasks.words import GROUPS, words

METRICS = {"describe": {"items"}, "followup_items": {"items"}, "read": {"words"}}
BOXES = {"box", "followup_box"}


def check_pictures(sample: Sample, height: int, width: int) -> None:
    for picture in [*sample.pictures, *sample.frames]:
        assert picture.shape == (height, width, 3) and picture.dtype == np.uint8
    assert len(sample.labels) == len(sample.pictures)
    for labels in sample.labels:
        assert labels.kind.shape == labels.colour.shape == (height // 4, width // 4)
        assert labels.kind.dtype == labels.colour.dtype == np.int16 and labels.box.dtype == np.float32
        assert 0 <= labels.kind.min() and labels.kind.max() <= len(KINDS)
        assert 0 <= labels.colour.min() and labels.colour.max() < len(COLOURS)
        x0, y0, x1, y1 = labels.box[labels.kind > 0].T
        assert (x0 < x1).all() and (y0 < y1).all() and labels.box.max() <= 1


def check_questions(sample: Sample) -> None:
    asked = [tuple(user for user, _ in question.turns) for question in sample.questions]
    for question in sample.questions:
        assert question.metric in ({"boxes"} if question.task in BOXES else METRICS.get(question.task, {"exact"}))
        assert 1 <= len(question.turns) <= 2 and all(user and answer for user, answer in question.turns)
        assert not any("{" in user for user, _ in question.turns)
    answers = dict(zip(asked, (question.turns[-1][1] for question in sample.questions)))
    assert all(answers[turns] == question.turns[-1][1] for turns, question in zip(asked, sample.questions))


@pytest.mark.parametrize("name", SAMPLERS)
def test_samples_of_every_size_and_difficulty_are_well_formed(name: str) -> None:
    rng = np.random.default_rng(1)
    for height, width in [(64, 64), (128, 128), (96, 192), (256, 64), (256, 256)]:
        for difficulty in (0.0, 0.5, 1.0):
            for _ in range(4):
                sample = SAMPLERS[name](rng, height, width, difficulty)
                check_pictures(sample, height, width)
                check_questions(sample)
                assert bool(sample.questions) == (name != "page")


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_seed_gives_one_sample(name: str) -> None:
    first, second = (SAMPLERS[name](np.random.default_rng(9), 128, 96, 1.0) for _ in range(2))
    assert first.questions == second.questions
    for a, b in zip([*first.pictures, *first.frames], [*second.pictures, *second.frames], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["scene", "pair"])
def test_a_name_stands_for_what_is_seen_at_its_place(name: str) -> None:
    named = 0
    for seed in range(20):
        sample = SAMPLERS[name](np.random.default_rng(seed), 128, 160, 1.0)
        for text, place in sample.places.items():
            labels = sample.labels[place.picture]
            here = (labels.kind > 0) & (np.abs(labels.box - np.float32(place.box)).max(-1) < 1e-6)
            assert here.any(), text
            words = text.split()
            shapes = {KINDS[kind - 1] for kind in np.unique(labels.kind[here])}
            colours = {COLOURS[colour] for colour in np.unique(labels.colour[here])}
            assert shapes & set(words) or colours & set(words), text
            named += 1
    assert named > 40


def test_counts_are_those_of_the_labels() -> None:
    """A scene's outlines in the labels are as many as the answer to `How many shapes are there?`."""
    rng = np.random.default_rng(2)
    checked = 0
    for _ in range(100):
        sample = SAMPLERS["scene"](rng, 128, 128, 1.0)
        (labels,) = sample.labels
        things = len(np.unique(labels.box[labels.kind > 0], axis=0))
        for question in sample.questions:
            if question.task == "followup_items":
                assert question.turns[0][1] == str(things)
                checked += 1
    assert checked > 10


def test_a_clip_moves_as_it_says() -> None:
    rng = np.random.default_rng(3)
    ways = Counter()
    for _ in range(40):
        sample = SAMPLERS["clip"](rng, 96, 128, 0.0)
        assert len(sample.frames) in (4, 6, 8)
        way = next(q.turns[0][1] for q in sample.questions if q.turns[0][1] in ("Left", "Right", "Up", "Down"))
        first, last = (
            np.argwhere((frame != frames_background(sample)).any(-1)).mean(0)
            for frame in (sample.frames[0], sample.frames[-1])
        )
        down, right = last - first
        moved = ("Right" if right > 0 else "Left") if abs(right) > abs(down) else ("Down" if down > 0 else "Up")
        assert moved == way
        ways[way] += 1
    assert len(ways) == 4


def frames_background(sample: Sample) -> np.ndarray:
    """The most frequent colour of the first frame."""
    colours, counts = np.unique(sample.frames[0].reshape(-1, 3), axis=0, return_counts=True)
    return colours[counts.argmax()]


def test_training_never_prints_a_heldout_word() -> None:
    held = set(word_list("heldout"))
    assert held and held.isdisjoint(word_list("training"))
    assert held.isdisjoint(training_printer().words) and training_printer().avoid == held
    rng = np.random.default_rng(4)
    for _ in range(300):
        for question in text(rng, 64, 128, 1.0).questions:
            if question.task == "read":
                assert held.isdisjoint(question.turns[0][1].lower().split("\n"))
    assert random_letters(np.random.default_rng(0), 3, frozenset()) not in held


def test_listings_and_boxes_have_the_form_of_the_metrics() -> None:
    assert listing(["red ring"]) == "A red ring."
    things = ["orange star", "blue square", "green star"]
    assert listing(things, "white") == "An orange star, a blue square and a green star on a white background."
    answer = box_answer((0.1124, 0.04, 0.388, 0.316), "red circle")
    assert answer == '[{"bbox_2d": [112, 40, 388, 316], "label": "red circle"}]'


def test_the_corpus_names_everything_that_is_asked() -> None:
    texts = set(corpus())
    assert not any("{" in one and "}" in one and "bbox" not in one for one in texts)
    assert "What colour is the heart?" in texts and "What is the opposite of hot?" in texts
    turns = [turn for group in GROUPS for turn in group]
    for question in words(np.random.default_rng(5), 64, 64, 1.0).questions:
        assert question.turns[0] in turns or question.turns[0][1] in word_list("training")


def test_a_clip_that_a_gif_cannot_hold_is_refused(tmp_path) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    with pytest.raises(ValueError, match="colours in the clip"):
        heldout.write_clip(tmp_path / "noise.gif", [frame, frame])


@pytest.mark.parametrize("questions", [heldout.HELDOUT, heldout.CALIBRATION], ids=lambda one: one.name)
def test_a_set_of_questions_is_made_anew_to_the_byte(tmp_path, questions: heldout.QuestionSet) -> None:
    stored = heldout.HERE / questions.name
    assert heldout.write(questions, tmp_path) == sum(sum(tasks.values()) for tasks in questions.quotas.values())
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(stored) for path in stored.rglob("*") if path.is_file())
    assert all((tmp_path / file).read_bytes() == (stored / file).read_bytes() for file in files)


def test_heldout_questions_name_files_that_exist() -> None:
    lines = ((heldout.HERE / "heldout") / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert len({one["id"] for one in records}) == len(records)
    for one in records:
        assert one["messages"][-1]["role"] == "user"
        content = one["messages"][0]["content"]
        for part in content if isinstance(content, list) else []:
            if part["type"] != "text":
                assert ((heldout.HERE / "heldout") / part[part["type"]]).is_file()


def test_heldout_sizes_are_none_that_training_shows() -> None:
    assert all(side % 32 for size in [*heldout.SIZES, *heldout.CLIP_SIZES] for side in size)
    assert native_format(100, 140).zoom == 1.0
