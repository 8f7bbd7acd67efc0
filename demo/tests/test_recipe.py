"""Tokenizer, first weights, dense labels, the stream of steps, and scores."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from recipe import checkpoint, evaluate
from recipe.architecture import NEIGHBOURS, TEXT, VISION, cosine_filters, neighbour_biases
from recipe.batched import Batch, Hidden, patches, rotate
from recipe.data import DENSE, JOINT, Steps
from recipe.dense import CELLS, DIGITS, PROBES, SIZES, DenseHeads, grouped
from recipe.encode import NOWHERE, Encoder, fill
from recipe.optimizer import orthogonal
from recipe.tasks import Place, Question


def decoded(token: str) -> str | None:
    """The text of a byte-level token; none if it is no whole characters."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    bytes_of = {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(rest)}
    try:
        return bytes([bytes_of[c] for c in token]).decode() if not token.startswith("<unused ") else None
    except UnicodeDecodeError:
        return None


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Encoder:
    folder: Path = tmp_path_factory.mktemp("model")
    checkpoint.prepare(folder)
    return Encoder.load(folder)


def test_known_words_are_one_token_and_printed_words_are_spelt(encoder: Encoder) -> None:
    assert len(encoder.text(" circle")) == 1
    assert len(encoder.text("<|im_start|>user\n")) == 3
    assert len(encoder.text("quince")) == 6
    assert (
        encoder.tokenizer.decode(encoder.text("Where is it? žluť 12"), skip_special_tokens=False)
        == "Where is it? žluť 12"
    )


def test_the_vocabulary_has_between_one_and_two_thousand_entries(encoder: Encoder) -> None:
    assert 1000 <= encoder.tokenizer.get_vocab_size() <= 2000


def test_special_tokens_have_the_ids_of_the_configuration(tmp_path) -> None:
    config = checkpoint.prepare(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer.convert_tokens_to_ids("<|image_pad|>") == config["image_token_id"]
    assert Encoder.load(tmp_path).text("<|im_end|>") == (config["text_config"]["eos_token_id"],)
    ids = sorted(tokenizer.get_vocab().values())
    assert ids == list(range(len(ids)))


def test_every_entry_of_the_vocabulary_is_reached_or_a_filler(encoder: Encoder) -> None:
    for token in encoder.tokenizer.get_vocab(with_added_tokens=False):
        text = decoded(token)
        assert token.startswith("<unused ") or text is None or encoder.tokenizer.encode(text).tokens == [token], token


def test_a_local_head_looks_at_its_neighbour() -> None:
    heads, width = VISION["num_heads"], VISION["hidden_size"] // VISION["num_heads"]
    bias = neighbour_biases(len(NEIGHBOURS)).reshape(3, heads, width)
    axis = width // 4
    frequencies = 10000.0 ** (-torch.arange(0, 2 * axis, 2) / (2 * axis))
    places = torch.cartesian_prod(torch.arange(5.0), torch.arange(5.0))
    angles = torch.cat([places[:, :1] * frequencies, places[:, 1:] * frequencies], dim=1).repeat(1, 2)
    for head, (down, right) in enumerate(NEIGHBOURS):
        query, key = (rotate(bias[i, head].expand(25, -1), angles.cos(), angles.sin()) for i in range(2))
        best = (query @ key.T)[12].argmax()
        assert divmod(int(best), 5) == (2 + down, 2 + right)


def test_the_first_filters_are_orthogonal() -> None:
    filters = cosine_filters()[:, :, 0].flatten(1)
    gram = torch.nn.functional.normalize(filters) @ torch.nn.functional.normalize(filters).T
    luma = gram[:128, :128] - torch.eye(128)
    assert luma.abs().max() < 1e-4


def test_labels_and_pixels_have_one_order() -> None:
    height, width = 64, 96
    rows, columns = np.mgrid[0 : height // 4, 0 : width // 4]
    cells = (rows * 100 + columns)[None]
    pixels = np.repeat(np.repeat(cells[0] % 256, 4, 0), 4, 1).astype(np.uint8)
    seen = patches(torch.from_numpy(np.repeat(pixels[..., None], 3, 2))[None, None])
    first = seen[0].reshape(-1, 3, 16, 16)[:, 0, ::4, ::4].reshape(-1, 16)
    expected = (grouped(cells)[0] % 256).float() / 127.5 - 1
    torch.testing.assert_close(first, expected)


@pytest.mark.parametrize("shares", [DENSE, JOINT])
def test_a_step_follows_from_seed_and_number(encoder: Encoder, shares: dict[str, float]) -> None:
    make = lambda first: Steps(encoder if shares is JOINT else None, 3, shares, first, 12, easy=4)
    one, other = make(0)[7], make(5)[2]
    assert one.kind == other.kind and torch.equal(one.pixels, other.pixels)
    assert (one.batch is None) == (other.batch is None)
    if one.batch is not None:
        assert torch.equal(one.batch.ids, other.batch.ids) and torch.equal(one.batch.targets, other.batch.targets)


def test_a_row_holds_the_questions_that_the_budget_is_enough_for() -> None:
    questions = [[(1, -1), (2, 3), (3, 4)], [(5, 6), (6, 7)], [(8, 9)]]
    assert fill(questions, 4) == [(1, 0, 0, -1), (2, 0, 1, 3), (3, 0, 2, 4), (8, 2, 0, 9)]
    assert len(fill(questions, 2)) == 3, "the first one is in even where it is too long"


def test_the_token_that_ends_a_name_knows_the_place(encoder: Encoder) -> None:
    star, ring = Place(0, (0.1, 0.2, 0.3, 0.4)), Place(1, (0.5, 0.6, 0.7, 1.0))
    text = "A red star, a red ring and its red rings: is it red?"
    found = encoder.named(text, {"red star": star, "star": ring, "ring": ring, "it": star})
    ends = [text[:end].split()[-1] for (_, end), place in zip(encoder.spans(text), found) if place != NOWHERE]
    assert ends == ["star", "ring", "it"], "whole words only, and the longest name"
    assert [place for place in found if place != NOWHERE] == [
        (0, 100, 200, 300, 400),
        (1, 500, 600, 700, 1000),
        (0, 100, 200, 300, 400),
    ]


def test_the_answer_that_locates_a_thing_knows_its_place(encoder: Encoder) -> None:
    place = Place(0, (0.1, 0.2, 0.3, 0.4))
    turns = [("Which shape is red?", "Star"), ("Where is it?", "[1]")]
    rows = encoder.question(Question("followup_box", "boxes", turns, it=place), {})
    answer = len(encoder.text("<|im_end|>\n<|im_start|>assistant\n[1]<|im_end|>"))
    located = [row[-len(NOWHERE) :] == (0, 100, 200, 300, 400) for row in rows]
    assert located == [False] * (len(rows) + 1 - answer) + [True] * (answer - 1)


def test_names_are_asked_for_picture_and_box() -> None:
    heads = DenseHeads()
    places = torch.full((1, 3, 5), -1)
    places[0, 1] = torch.tensor([1, 123, 456, 789, 1000])
    right = torch.full((4, sum(DIGITS)), -20.0)
    for coordinate, (hundreds, tens) in enumerate([(1, 2), (4, 5), (7, 8), (10, 0)]):
        right[coordinate, [hundreds, DIGITS[0] + tens]] = 20.0
    with torch.no_grad():
        heads.place.weight.zero_()
        heads.place.bias.copy_(torch.cat([torch.tensor([-20.0, 20.0]), right.flatten()]))
    hidden = Hidden(torch.zeros(0), torch.randn(1, 5, TEXT["hidden_size"]), torch.randn(1, 3, TEXT["hidden_size"]))
    blank = torch.zeros(1, 3, dtype=torch.long)
    pixels = torch.zeros(2, 1, 32, 32, 3, dtype=torch.uint8)
    batch = Batch(pixels, blank[0], blank, blank[0], blank, blank, blank, blank, places, places)
    loss, shares = heads.names_loss(hidden, batch)
    assert loss < 1e-3
    assert shares == {f"{of} {part}": 1 for of in ("place", "wanted") for part in ("hundreds", "tens", "picture")}
    batch.places = batch.wanted = torch.full_like(places, -1)
    assert heads.names_loss(hidden, batch) == (0, {})


def test_the_second_picture_is_asked_for_the_first_one() -> None:
    heads = DenseHeads()
    # Two pairs of pictures of two tokens: the first token's kind changes from 3 to 5, the second one's stays.
    kind = torch.tensor([[3, 4], [5, 4], [3, 4], [5, 4]]).repeat_interleave(4, dim=1)[..., None].expand(-1, -1, CELLS)
    hidden = Hidden(torch.zeros(0), torch.zeros(2, 7, TEXT["hidden_size"]), torch.zeros(0))
    media = torch.tensor([1, 2, 4, 5])
    # Each media token says what it is by one number; the heads repeat it.
    hidden.middle[:, media, torch.arange(4)] = 1
    before = torch.full((4, 4 * len(PROBES), sum(SIZES[:2])), -20.0)
    before[2, :, [3, SIZES[0]]] = 20.0
    before[3, :, [4, SIZES[0]]] = 20.0
    pair = torch.tensor([[20.0, 0, 0, 0], [20.0, 0, 0, 0], [0, 20.0, 0, 20.0], [0, 20.0, 20.0, 0]])
    with torch.no_grad():
        for head, says in ((heads.before, before), (heads.pair, pair)):
            head.weight.zero_()
            head.bias.zero_()
            head.weight[:, :4] = says.flatten(1).T
    empty = torch.zeros(0, dtype=torch.long)
    batch = Batch(empty, empty, empty, media, empty, empty, empty, empty, empty, empty)
    loss, shares = heads.pair_loss(hidden, batch, kind, torch.zeros_like(kind))
    assert loss < 1e-3 and shares == {"before": 1, "number": 1, "changed": 1}


def test_merged_tokens_are_asked_for_the_digits_of_the_box_under_them() -> None:
    heads = DenseHeads()
    kind, box = torch.zeros(1, 4, CELLS, dtype=torch.long), torch.zeros(1, 4, CELLS, 4)
    # A shape at one probe of the third patch only; its box is 0.123, 0.456, 0.789, 1 of the sides.
    kind[0, 2, PROBES[3]] = 1
    box[0, 2, PROBES[3]] = torch.tensor([0.123, 0.456, 0.789, 1.0])
    right = torch.full((4, 4, sum(DIGITS)), -20.0)
    for coordinate, (hundreds, tens) in enumerate([(1, 2), (4, 5), (7, 8), (10, 0)]):
        right[2, coordinate, [hundreds, DIGITS[0] + tens]] = 20.0
    with torch.no_grad():
        heads.digits.weight.zero_()
        heads.digits.bias.copy_(right.flatten())
    tokens = torch.randn(1, 1, TEXT["hidden_size"])
    labels = [t[:, :, PROBES] for t in (kind, torch.zeros_like(kind), box)]
    _, shares = heads.token_loss(tokens, *labels)
    assert shares["hundreds"] == 1 and shares["tens"] == 1


def test_newton_schulz_brings_singular_values_near_one() -> None:
    values = torch.linalg.svdvals(orthogonal(torch.randn(2, 48, 96)).float())
    assert 0.5 < values.min() and values.max() < 1.5


def test_metrics() -> None:
    assert evaluate.exact(" red. ", "Red") == 1
    assert evaluate.words("a x c", "a b c") == pytest.approx(2 / 3)
    assert (
        evaluate.items(
            "A blue ring and a red star on a white background.", "A red star and a blue ring on a white background."
        )
        == 1
    )
    box = '[{"bbox_2d": [0, 0, 10, 10], "label": "a"}]'
    half = '[{"bbox_2d": [0, 0, 10, 5], "label": "a"}]'
    assert evaluate.boxes(half, box) == 0.5 and evaluate.boxes("nothing", box) == 0
