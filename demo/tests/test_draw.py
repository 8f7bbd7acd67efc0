"""Shapes, glyphs and scenes: what is labelled is what is painted."""

import numpy as np
import pytest

from recipe.draw.background import Background
from recipe.draw.canvas import Canvas, Format, native_format
from recipe.draw.colours import BASE, COLOURS, VISIBLE, distance, shade, shade_against
from recipe.draw.fonts import FONTS, SLANTS, glyph, nearest_size
from recipe.draw.labels import CHARACTERS, KINDS, LABEL_OF_KIND
from recipe.draw.lettering import Style, outline, paste_word, set_line
from recipe.draw.scene import collides, draw_scene, random_scene
from recipe.draw.shapes import SHAPES, angles, outline as shape_outline, shape_mask

WHITE = Background("white", (250, 250, 250), (250, 250, 250), (0.0, 0.0))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_longer_side_of_a_shape_is_its_size_and_its_mask_is_tight(shape: str) -> None:
    for angle in angles(shape):
        mask = shape_mask(shape, 40, angle)
        coverage = np.asarray(mask.image)
        assert max(coverage.shape) == 40
        edges = (coverage[0], coverage[-1], coverage[:, 0], coverage[:, -1])
        assert all(edge.max() > 0 for edge in edges), (shape, angle)


def test_an_unknown_shape_is_named_in_the_error() -> None:
    with pytest.raises(ValueError, match="hexagon"):
        shape_outline("hexagon")


@pytest.mark.parametrize("name", COLOURS)
def test_a_shade_is_nearer_to_its_own_colour_than_to_any_other(name: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        rgb = shade(rng, name)
        assert min(COLOURS, key=lambda other: distance(rgb, BASE[other])) == name


@pytest.mark.parametrize("name", COLOURS)
def test_every_background_has_a_visible_colour_that_contrasts(name: str) -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        _, rgb = shade_against(rng, BASE[name], COLOURS, contrast=55)
        assert distance(rgb, BASE[name]) >= VISIBLE


def test_every_face_draws_every_character_at_every_slant() -> None:
    for face in range(len(FONTS)):
        for character in CHARACTERS:
            one = glyph(face, 12, character, SLANTS[0])
            assert one.mask.width > 0 and one.mask.height > 0 and one.advance > 0


def test_the_nearest_size_is_never_larger_than_wanted_unless_it_is_the_smallest() -> None:
    assert (nearest_size(5), nearest_size(20), nearest_size(23.9), nearest_size(1000)) == (12, 20, 22, 105)


def test_cells_of_a_shape_carry_its_label_and_its_outline() -> None:
    canvas = Canvas(native_format(64, 96), WHITE)
    canvas.paste_shape(shape_mask("square", 32, 0), 48, 16, BASE["blue"], "square", "blue")
    labels = canvas.labels
    assert labels.kind.shape == (16, 24)
    assert (labels.kind[4:12, 12:20] == LABEL_OF_KIND["square"]).all() and (labels.kind > 0).sum() == 64
    assert (labels.colour[4:12, 12:20] == COLOURS.index("blue")).all() and labels.colour[0, 0] == COLOURS.index("white")
    np.testing.assert_allclose(labels.box[6, 15], [0.5, 0.25, 80 / 96, 0.75], atol=1e-6)
    assert not labels.box[0, 0].any()


def test_the_hole_of_a_ring_is_background() -> None:
    canvas = Canvas(native_format(64, 64), WHITE)
    canvas.paste_shape(shape_mask("ring", 48, 0), 8, 8, BASE["red"], "ring", "red")
    assert canvas.labels.kind[8, 8] == 0 and canvas.labels.kind[8, 2] == LABEL_OF_KIND["ring"]


def test_labels_of_a_resized_picture_lie_where_the_paint_lies() -> None:
    canvas = Canvas(Format(64, 64, 96, 96), WHITE)
    canvas.paste_shape(shape_mask("square", 48, 0), 48, 48, BASE["black"], "square", "black")
    picture, labels = canvas.finish(np.random.default_rng(0), 0.0)
    assert picture.shape == (64, 64, 3)
    dark = picture[2::4, 2::4].max(-1) < 128
    assert (dark == (labels.kind > 0)).all()


def test_characters_are_labelled_with_the_box_of_the_whole_word() -> None:
    canvas = Canvas(native_format(64, 128), WHITE)
    style = Style(0, 30, 0, "black", BASE["black"])
    placed = set_line("A7", style, 10, 45)
    paste_word(canvas, placed, style)
    kinds = {KINDS[kind - 1] for kind in np.unique(canvas.labels.kind) if kind}
    assert kinds == {"A", "7"}
    boxes = np.unique(canvas.labels.box[canvas.labels.kind > 0], axis=0)
    np.testing.assert_allclose(boxes, [canvas.relative(outline(placed))], atol=1e-6)


def test_things_of_a_scene_do_not_touch_and_stand_from_left_to_right() -> None:
    rng = np.random.default_rng(3)
    for _ in range(100):
        scene = random_scene(rng, native_format(128, 96), 1.0)
        centres = [thing.centre[0] for thing in scene.things]
        assert 1 <= len(centres) <= 5 and centres == sorted(centres)
        for index, thing in enumerate(scene.things):
            assert not collides(thing, scene.things[:index], scene.form)
            x0, y0, x1, y1 = thing.box
            assert 0 <= x0 and 0 <= y0 and x1 <= 96 and y1 <= 128


def test_the_outline_of_a_thing_is_where_it_is_painted() -> None:
    rng = np.random.default_rng(4)
    for _ in range(40):
        scene = random_scene(rng, native_format(128, 128), 0.0)
        (thing,) = scene.things
        picture = np.asarray(draw_scene(scene).image).astype(int)
        painted = np.abs(picture - picture[0, 0]).sum(-1) > 30
        rows, columns = np.flatnonzero(painted.any(1)), np.flatnonzero(painted.any(0))
        found = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        assert np.abs(found - thing.box).max() <= 1, (thing.name, found, thing.box)
