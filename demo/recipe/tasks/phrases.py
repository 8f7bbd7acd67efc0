"""Every wording of the questions and the forms of their answers."""

import itertools
import json
import string
from collections.abc import Iterator

import numpy as np

from recipe.draw.choose import pick
from recipe.draw.colours import COLOURS
from recipe.draw.shapes import SHAPES
from recipe.tasks.words import words_corpus

QUESTIONS: dict[str, list[str]] = {
    "describe": ["Describe the picture.", "Describe this image.", "What do you see?", "What is in the picture?"],
    "count": ["How many shapes are there?", "How many shapes are in the picture?", "Count the shapes."],
    "count_shape": ["How many {shape}s are there?", "How many {shape}s do you see?", "Count the {shape}s."],
    "count_colour": [
        "How many {colour} shapes are there?",
        "How many shapes are {colour}?",
        "Count the {colour} shapes.",
    ],
    "colour": ["What colour is the {shape}?", "What color is the {shape}?", "Which colour does the {shape} have?"],
    "background": [
        "What colour is the background?",
        "What color is the background?",
        "Which colour does the background have?",
    ],
    "shape": ["Which shape is {colour}?", "What is the {colour} shape?", "What shape is the {colour} object?"],
    "left_right": [
        "Is the {a} to the left or to the right of the {b}?",
        "Is the {a} left or right of the {b}?",
        "On which side of the {b} is the {a}, left or right?",
    ],
    "above_below": ["Is the {a} above or below the {b}?", "Is the {a} above the {b} or below it?"],
    "box": [
        "Where is the {thing}? Answer with its box in JSON.",
        "Locate the {thing}, output its bbox coordinates in JSON format.",
        "Find the {thing} and give its box in JSON.",
    ],
    "and_shape": ["And the {shape}?", "And what colour is the {shape}?", "What about the {shape}?"],
    "where_it": [
        "Where is it?",
        "Where is it? Answer with its box in JSON.",
        "Locate it, output its bbox coordinates in JSON format.",
    ],
    "what_they": ["What are they?", "Which shapes are they?", "Name them."],
    "read": ["What does it say?", "Read the text.", "What is written here?", "Read the text in the picture."],
    "lines": ["How many lines of text are there?", "How many lines does the text have?"],
    "text_colour": ["What colour is the text?", "What color is the text?", "Which colour does the text have?"],
    "highest": ["Which bar is the highest?", "What colour is the highest bar?", "Which colour has the tallest bar?"],
    "lowest": ["Which bar is the lowest?", "What colour is the lowest bar?", "Which colour has the shortest bar?"],
    "highest_letter": ["Which letter is under the highest bar?", "What is the letter of the highest bar?"],
    "lowest_letter": ["Which letter is under the lowest bar?", "What is the letter of the lowest bar?"],
    "bars": ["How many bars are there?", "How many bars does the chart have?", "Count the bars."],
    "bar_colour": ["What colour is bar {letter}?", "What color is the bar above {letter}?"],
    "bar_letter": ["Which letter is under the {colour} bar?", "What is the letter of the {colour} bar?"],
    "differs": [
        "What differs between picture 1 and picture 2?",
        "What is the difference between the two pictures?",
        "What changed from picture 1 to picture 2?",
    ],
    "more": ["Which picture has more shapes?", "Which of the two pictures has more shapes?"],
    "which_has": ["Which picture has {thing}?", "In which picture is there {thing}?"],
    "colour_in": ["What colour is the {shape} in picture {n}?", "What color is the {shape} in picture {n}?"],
    "motion": ["Which way does the {shape} move?", "In which direction does the {shape} move?"],
    "mover": ["Which shape moves?", "What moves?", "Which shape is moving?"],
    "mover_colour": ["What colour is the moving shape?", "What color is the shape that moves?"],
}
"""Name of a question -> its wordings; words in braces are filled in."""


def ask(rng: np.random.Generator, name: str, **slots: object) -> str:
    """One wording of the question, filled in."""
    return pick(rng, QUESTIONS[name]).format(**slots)


def with_article(thing: str) -> str:
    """`a red circle`, `an orange circle`."""
    return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"


def listing(things: list[str], background: str | None = None) -> str:
    """A sentence that names the things in their order: `A red circle and a blue square on a white background.`"""
    named = [with_article(thing) for thing in things]
    head = ", ".join(named[:-1])
    sentence = f"{head} and {named[-1]}" if head else named[-1]
    end = f" on {with_article(background)} background" if background else ""
    return f"{sentence[0].upper()}{sentence[1:]}{end}."


def box_answer(box: tuple[float, float, float, float], label: str) -> str:
    """The answer to a question for a place; the box in 0..1, written in 0..1000."""
    return json.dumps([{"bbox_2d": [round(1000 * part) for part in box], "label": label}])


def colour_changed(shape: str, before: str, after: str) -> str:
    return f"The {shape} is {before} in picture 1 and {after} in picture 2."


def shape_changed(colour: str, before: str, after: str) -> str:
    return f"The {colour} shape is {with_article(before)} in picture 1 and {with_article(after)} in picture 2."


def thing_more(picture: int, thing: str) -> str:
    return f"Picture {picture} has {with_article(thing)} more."


def fixed_answers() -> Iterator[str]:
    """Answers of one word, and one of each longer form."""
    for word in itertools.chain(COLOURS, SHAPES, ["left", "right", "above", "below", "up", "down"]):
        yield word.capitalize()
    yield from map(str, range(10))
    yield from string.ascii_uppercase[:5]
    yield from ["Picture 1", "Picture 2"]
    rng = np.random.default_rng(0)
    for number, (colour, shape) in enumerate(itertools.product(COLOURS, SHAPES)):
        other = SHAPES[(number + 3) % len(SHAPES)]
        next_colour = COLOURS[(number + 4) % len(COLOURS)]
        things = [f"{colour} {shape}", f"{next_colour} {other}", f"{colour} {other}"]
        yield listing(things, next_colour)
        yield listing(things)
        yield box_answer(tuple(rng.random(4)), things[0])
        yield colour_changed(shape, colour, next_colour)
        yield shape_changed(colour, shape, other)
        yield thing_more(1 + number % 2, things[0])


def filled(wording: str) -> Iterator[str]:
    """The wording with every colour and shape, a few of the pairs."""
    for number, (colour, shape) in enumerate(itertools.product(COLOURS, SHAPES)):
        thing = f"{colour} {shape}"
        if "Which picture has" in wording or "In which picture" in wording:
            thing = with_article(thing)
        other = SHAPES[(number + 1) % len(SHAPES)]
        letter = "ABCDE"[number % 5]
        yield wording.format(colour=colour, shape=shape, thing=thing, a=shape, b=other, n=1 + number % 2, letter=letter)


def corpus() -> Iterator[str]:
    """All questions and answers, without the words that are printed in pictures: text for the tokenizer."""
    yield from words_corpus()
    for wordings in QUESTIONS.values():
        for wording in wordings:
            yield from dict.fromkeys(filled(wording))
    yield from fixed_answers()
