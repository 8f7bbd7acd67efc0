"""From samples to the model's input: chat text, token ids, positions, and which tokens are learnt."""

import functools
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from recipe.architecture import SIDE, TEMPORAL
from recipe.batched import Batch
from recipe.tasks import FRAMES_PER_SECOND, Place, Question, Sample

ROUND = 8
"""Rows of questions are padded to a multiple of this many tokens, so that few shapes occur."""
NOWHERE = (-1, -1, -1, -1, -1)
"""What tokens have that name no one thing, in place of its picture and its box in 0..1000."""
PADDING = (0, -1, 0, -1, *NOWHERE, *NOWHERE)
"""Id, question, offset, target, place that is named and place that is asked for of padding."""


@dataclass
class Encoder:
    """The chat form of Qwen3-VL's template, for one user's turn with media and any number of questions about it."""

    tokenizer: Tokenizer

    @staticmethod
    def load(folder: Path) -> "Encoder":
        return Encoder(Tokenizer.from_file(str(folder / "tokenizer.json")))

    @functools.cache
    def text(self, text: str) -> tuple[int, ...]:
        """Token ids of a text."""
        return tuple(self.tokenizer.encode(text, add_special_tokens=False).ids)

    @functools.cache
    def spans(self, text: str) -> tuple[tuple[int, int], ...]:
        """Start and end in the text of each token."""
        return tuple(self.tokenizer.encode(text, add_special_tokens=False).offsets)

    def __hash__(self) -> int:
        return id(self)

    def prefix(self, pictures: int, groups: int, height: int, width: int) -> tuple[list[int], np.ndarray, list[int]]:
        """The start of the user's turn with `pictures` pictures or a clip of `groups` pairs of frames, each height x width pixels.

        Gives the ids [L], their positions [3, L] and the places of the media tokens.
        """
        ids, positions, media, next_position = [], [], [], 0

        def add(tokens: tuple[int, ...]) -> None:
            nonlocal next_position
            ids.extend(tokens)
            positions.extend([next_position + i] * 3 for i in range(len(tokens)))
            next_position += len(tokens)

        add(self.text("<|im_start|>user\n"))
        pad = self.text("<|video_pad|>" if groups else "<|image_pad|>")
        if groups:
            # The template's own pair stays around the pairs of each two frames.
            add(self.text("<|vision_start|>"))
        rows, columns = height // SIDE, width // SIDE
        for number in range(groups or pictures):
            if groups:
                add(self.text(timestamp(number)))
            add(self.text("<|vision_start|>"))
            media.extend(range(len(ids), len(ids) + rows * columns))
            ids.extend(pad * (rows * columns))
            positions.extend(
                [next_position, next_position + r, next_position + c] for r in range(rows) for c in range(columns)
            )
            next_position += max(rows, columns)
            add(self.text("<|vision_end|>"))
        if groups:
            add(self.text("<|vision_end|>"))
        return ids, np.array(positions).T, media

    def question(self, question: Question, places: dict[str, Place]) -> list[tuple[int, ...]]:
        """For each token of all turns after the media: its id, the id to learn next or -1, the place that it names, and the
        place that its answer is about."""
        ids, learn, named, asked_for = [], [], [], []
        places = places | ({"it": question.it} if question.it else {})
        wanted = numbers(question.it) if question.it else NOWHERE

        def add(text: str, learnt: bool, place: tuple[int, ...] = NOWHERE) -> None:
            tokens = self.text(text)
            ids.extend(tokens)
            learn.extend([learnt] * len(tokens))
            named.extend(self.named(text, places))
            asked_for.extend([place] * len(tokens))

        for number, (asked, answer) in enumerate(question.turns):
            add("\n<|im_start|>user\n" if number else "", False)
            add(asked, False)
            about = wanted if number + 1 == len(question.turns) else NOWHERE
            add("<|im_end|>\n<|im_start|>assistant\n", False, about)
            add(answer, True, about)
            add("<|im_end|>", True)
        targets = [token if learnt else -1 for token, learnt in zip(ids[1:], learn[1:])]
        return [(one, target, *name, *place) for one, target, name, place in zip(ids, targets, named, asked_for)]

    def named(self, text: str, places: dict[str, Place]) -> list[tuple[int, ...]]:
        """For each token of the text the picture and the box of the thing whose name ends there; the longest name counts."""
        spans = self.spans(text)
        found = [NOWHERE] * len(spans)
        if places:
            longest_first = "|".join(map(re.escape, sorted(places, key=len, reverse=True)))
            for match in re.finditer(rf"\b(?:{longest_first})\b", text):
                place = places[match.group()]
                last = next(i for i, (start, end) in enumerate(spans) if start < match.end() <= end)
                found[last] = numbers(place)
        return found


def numbers(place: Place) -> tuple[int, ...]:
    """Picture, and box in 0..1000."""
    return (place.picture, *(round(1000 * part) for part in place.box))


def timestamp(group: int) -> str:
    """The time that the template writes before a pair of frames: the mean of the two, to a tenth of a second."""
    first = group * TEMPORAL / FRAMES_PER_SECOND
    last = (group * TEMPORAL + TEMPORAL - 1) / FRAMES_PER_SECOND
    return f"<{(first + last) / 2:.1f} seconds>"


def encode(encoder: Encoder, samples: list[Sample], budget: int) -> Batch:
    """One batch of samples of one kind and size, with as many questions of each as come to at most `budget` tokens."""
    first = samples[0]
    groups = len(first.frames) // TEMPORAL
    pixels = (
        np.stack([unit for sample in samples for unit in units(sample)])
        if groups or first.pictures
        else np.zeros((0, 1, SIDE, SIDE, 3), np.uint8)
    )
    ids, positions, media = encoder.prefix(len(first.pictures), groups, *pixels.shape[2:4])
    rows = [fill([encoder.question(q, sample.places) for q in sample.questions], budget) for sample in samples]
    length = -(-max(len(row) for row in rows) // ROUND) * ROUND
    table = np.full((len(samples), length, len(PADDING)), PADDING, np.int64)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    tensors = map(torch.from_numpy, (pixels, np.array(ids), positions, np.array(media, np.int64), table))
    *media_tensors, table = tensors
    places = table[..., 4:].split(len(NOWHERE), dim=-1)
    return Batch(*media_tensors, *table[..., :4].unbind(-1), *places)


def fill(questions: list[list[tuple[int, ...]]], budget: int) -> list[tuple[int, ...]]:
    """A row as `PADDING` is one, of each token of the questions that the budget is enough for; the first one is always in."""
    row = []
    for number, tokens in enumerate(questions):
        if not row or len(row) + len(tokens) <= budget:
            row += [(one, number, offset, *rest) for offset, (one, *rest) in enumerate(tokens)]
    return row


def units(sample: Sample) -> list[np.ndarray]:
    """What the tower sees at a time: uint8 [1, H, W, 3] for a picture, [2, H, W, 3] for a pair of frames."""
    frames = [np.stack(sample.frames[i : i + TEMPORAL]) for i in range(0, len(sample.frames), TEMPORAL)]
    return [picture[None] for picture in sample.pictures] + frames
