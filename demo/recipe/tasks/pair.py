"""Two pictures of one scene with one change between them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from recipe.draw.canvas import Canvas, Format, random_format
from recipe.draw.choose import between, pick, shuffled
from recipe.draw.colours import COLOURS, shade_against
from recipe.draw.scene import Scene, Thing, draw_scene, random_scene
from recipe.draw.shapes import SHAPES, angles
from recipe.tasks.phrases import ask, colour_changed, shape_changed, thing_more, with_article
from recipe.tasks.places import Place, unique
from recipe.tasks.sample import Question, Sample


@dataclass(frozen=True)
class Change:
    """Two scenes and what differs."""

    scenes: tuple[Scene, Scene]
    answer: str
    thing: Thing
    """what changed, as it stands in `picture`"""
    picture: int
    """0 or 1"""


def changed(scene: Scene, old: Thing, new: Thing, answer: str) -> Change:
    """The scene, and the same with another thing in the place of one."""
    after = replace(scene, things=[new if thing is old else thing for thing in scene.things])
    return Change((scene, after), answer, new, 1)


def change_colour(rng: np.random.Generator, scene: Scene) -> Change | None:
    """Another colour for a thing that is the only one of its shape."""
    candidates = unique(scene.things, "shape")
    if not candidates:
        return None
    old = pick(rng, candidates)
    names = [name for name in COLOURS if name not in (old.colour, scene.background.name)]
    colour, rgb = shade_against(rng, scene.background.middle, names)
    new = replace(old, colour=colour, rgb=rgb)
    return changed(scene, old, new, colour_changed(old.shape, old.colour, colour))


def change_shape(rng: np.random.Generator, scene: Scene) -> Change | None:
    """Another shape for a thing that is the only one of its colour; it does not reach beyond the old one's square."""
    candidates = unique(scene.things, "colour")
    if not candidates:
        return None
    old = pick(rng, candidates)
    shape = pick(rng, [shape for shape in SHAPES if shape != old.shape])
    size = min(old.mask.width, old.mask.height)
    new = replace(old, shape=shape, angle=pick(rng, angles(shape)), size=size)
    return changed(scene, old, new, shape_changed(old.colour, old.shape, shape))


def remove(rng: np.random.Generator, scene: Scene) -> Change | None:
    """One thing less in one of the two pictures."""
    if len(scene.things) < 2:
        return None
    gone = pick(rng, scene.things)
    less = replace(scene, things=[thing for thing in scene.things if thing is not gone])
    more = between(rng, 1, 2)
    scenes = (scene, less) if more == 1 else (less, scene)
    return Change(scenes, thing_more(more, gone.name), gone, more - 1)


CHANGES: list[Callable[[np.random.Generator, Scene], Change | None]] = [change_colour, change_shape, remove]


def random_change(rng: np.random.Generator, form: Format, difficulty: float) -> Change:
    """A scene of up to four things and one change that is possible in it."""
    while True:
        scene = random_scene(rng, form, difficulty, most=4)
        change = pick(rng, CHANGES)(rng, scene)
        if change is not None:
            return change


def which_has(rng: np.random.Generator, scenes: tuple[Scene, Scene], places: dict[str, Place]) -> list[Question]:
    """A thing that stands in one picture only."""
    names = [{thing.name for thing in scene.things} for scene in scenes]
    questions = []
    for index in range(2):
        for name in sorted(names[index] - names[1 - index]):
            turn = (ask(rng, "which_has", thing=with_article(name)), f"Picture {index + 1}")
            questions.append(Question("pair", "exact", [turn], it=places.get(name)))
    return questions


def colour_in(rng: np.random.Generator, scenes: tuple[Scene, Scene], places: dict[str, Place]) -> list[Question]:
    """The colour of one thing in each picture."""
    questions = []
    for index, scene in enumerate(scenes):
        candidates = unique(scene.things, "shape")
        if candidates:
            thing = pick(rng, candidates)
            turn = (ask(rng, "colour_in", shape=thing.shape, n=index + 1), thing.colour.capitalize())
            questions.append(Question("pair", "exact", [turn], it=places[f"{thing.shape} in picture {index + 1}"]))
    return questions


def places_of_pair(scenes: tuple[Scene, Scene], canvases: list[Canvas]) -> dict[str, Place]:
    """Things by their names, where they stand in one picture only, and by their shapes with the picture's number."""
    found = {}
    for index, (scene, other) in enumerate(zip(scenes, reversed(scenes))):
        place = lambda thing: Place(index, canvases[index].relative(thing.box))
        missing = {thing.name for thing in other.things}
        found |= {thing.name: place(thing) for thing in unique(scene.things, "name") if thing.name not in missing}
        found |= {f"{thing.shape} in picture {index + 1}": place(thing) for thing in unique(scene.things, "shape")}
    return found


def more(rng: np.random.Generator, scenes: tuple[Scene, Scene]) -> list[Question]:
    """Which picture has more shapes, where the numbers differ."""
    first, second = (len(scene.things) for scene in scenes)
    if first == second:
        return []
    turn = (ask(rng, "more"), "Picture 1" if first > second else "Picture 2")
    return [Question("pair", "exact", [turn])]


def sample_pair(rng: np.random.Generator, form: Format, difficulty: float) -> Sample:
    """Two pictures and the questions about their difference."""
    change = random_change(rng, form, difficulty)
    canvases = [draw_scene(scene) for scene in change.scenes]
    places = places_of_pair(change.scenes, canvases)
    sample = Sample(places=places)
    for canvas in canvases:
        picture, labels = canvas.finish(rng, difficulty)
        sample.pictures.append(picture)
        sample.labels.append(labels)
    where = Place(change.picture, canvases[change.picture].relative(change.thing.box))
    sample.questions = shuffled(
        rng,
        [
            Question("pair", "exact", [(ask(rng, "differs"), change.answer)], it=where),
            *which_has(rng, change.scenes, places),
            *colour_in(rng, change.scenes, places),
            *more(rng, change.scenes),
        ],
    )
    return sample


def pair(rng: np.random.Generator, height: int, width: int, difficulty: float) -> Sample:
    """Two pictures of the final size."""
    return sample_pair(rng, random_format(rng, height, width), difficulty)
