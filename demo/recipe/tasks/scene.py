"""Questions about one scene."""

import numpy as np

from recipe.draw.canvas import Canvas, Format, random_format
from recipe.draw.choose import chance, pick, shuffled
from recipe.draw.colours import COLOURS
from recipe.draw.scene import Scene, draw_scene, random_scene
from recipe.draw.shapes import SHAPES
from recipe.tasks.phrases import ask, box_answer, listing
from recipe.tasks.places import Place, named, unique
from recipe.tasks.sample import Question, Sample


def describe(rng: np.random.Generator, scene: Scene) -> list[Question]:
    answer = listing([thing.name for thing in scene.things], scene.background.name)
    return [Question("describe", "items", [(ask(rng, "describe"), answer)])]


def count(rng: np.random.Generator, scene: Scene) -> list[Question]:
    """All shapes, those of one shape and those of one colour; one time in six of one that may be missing."""
    shape = pick(rng, SHAPES) if chance(rng, 1 / 6) else pick(rng, scene.things).shape
    colour = pick(rng, COLOURS) if chance(rng, 1 / 6) else pick(rng, scene.things).colour
    of_shape = sum(thing.shape == shape for thing in scene.things)
    of_colour = sum(thing.colour == colour for thing in scene.things)
    return [
        Question("count", "exact", [(ask(rng, "count"), str(len(scene.things)))]),
        Question("count", "exact", [(ask(rng, "count_shape", shape=shape), str(of_shape))]),
        Question("count", "exact", [(ask(rng, "count_colour", colour=colour), str(of_colour))]),
    ]


def colour(rng: np.random.Generator, scene: Scene) -> list[Question]:
    questions = [
        Question("colour", "exact", [(ask(rng, "colour", shape=thing.shape), thing.colour.capitalize())])
        for thing in unique(scene.things, "shape")
    ]
    background = (ask(rng, "background"), scene.background.name.capitalize())
    return [*questions, Question("colour", "exact", [background])]


def shape(rng: np.random.Generator, scene: Scene) -> list[Question]:
    return [
        Question("shape", "exact", [(ask(rng, "shape", colour=thing.colour), thing.shape.capitalize())])
        for thing in unique(scene.things, "colour")
    ]


def position(rng: np.random.Generator, scene: Scene) -> list[Question]:
    """Two things whose outlines do not overlap in the direction that is asked for."""
    things = shuffled(rng, unique(scene.things, "shape"))
    questions = []
    for a, b in zip(things, things[1:]):
        (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = a.box, b.box
        if ax1 < bx0 or bx1 < ax0:
            turn = (ask(rng, "left_right", a=a.shape, b=b.shape), "Left" if ax1 < bx0 else "Right")
            questions.append(Question("position", "exact", [turn]))
        if ay1 < by0 or by1 < ay0:
            turn = (ask(rng, "above_below", a=a.shape, b=b.shape), "Above" if ay1 < by0 else "Below")
            questions.append(Question("position", "exact", [turn]))
    return questions


def box(rng: np.random.Generator, scene: Scene, canvas: Canvas) -> list[Question]:
    return [
        Question("box", "boxes", [(ask(rng, "box", thing=thing.name), answer)], it=place)
        for thing in unique(scene.things, "name")
        for place in [Place(0, canvas.relative(thing.box))]
        for answer in [box_answer(place.box, thing.name)]
    ]


def followup_colour(rng: np.random.Generator, scene: Scene) -> list[Question]:
    things = shuffled(rng, unique(scene.things, "shape"))
    if len(things) < 2:
        return []
    first = (ask(rng, "colour", shape=things[0].shape), things[0].colour.capitalize())
    second = (ask(rng, "and_shape", shape=things[1].shape), things[1].colour.capitalize())
    return [Question("followup", "exact", [first, second])]


def followup_box(rng: np.random.Generator, scene: Scene, canvas: Canvas) -> list[Question]:
    things = unique(scene.things, "colour")
    if not things:
        return []
    thing = pick(rng, things)
    place = Place(0, canvas.relative(thing.box))
    first = (ask(rng, "shape", colour=thing.colour), thing.shape.capitalize())
    second = (ask(rng, "where_it"), box_answer(place.box, thing.name))
    return [Question("followup_box", "boxes", [first, second], it=place)]


def followup_names(rng: np.random.Generator, scene: Scene) -> list[Question]:
    if len(scene.things) < 2:
        return []
    first = (ask(rng, "count"), str(len(scene.things)))
    second = (ask(rng, "what_they"), listing([thing.name for thing in scene.things]))
    return [Question("followup_items", "items", [first, second])]


def scene_questions(rng: np.random.Generator, scene: Scene, canvas: Canvas) -> list[Question]:
    """All questions that have one answer, in a random order."""
    questions = [
        *describe(rng, scene),
        *count(rng, scene),
        *colour(rng, scene),
        *shape(rng, scene),
        *position(rng, scene),
        *box(rng, scene, canvas),
        *followup_colour(rng, scene),
        *followup_box(rng, scene, canvas),
        *followup_names(rng, scene),
    ]
    return shuffled(rng, questions)


def sample_scene(rng: np.random.Generator, form: Format, difficulty: float) -> Sample:
    """A scene of one to five things with all its questions."""
    scene = random_scene(rng, form, difficulty)
    canvas = draw_scene(scene)
    picture, labels = canvas.finish(rng, difficulty)
    places = named(scene.things, {thing: Place(0, canvas.relative(thing.box)) for thing in scene.things})
    return Sample(pictures=[picture], labels=[labels], questions=scene_questions(rng, scene, canvas), places=places)


def scene(rng: np.random.Generator, height: int, width: int, difficulty: float) -> Sample:
    """A scene of the final size."""
    return sample_scene(rng, random_format(rng, height, width), difficulty)
