"""The model's tokenizer: byte-level BPE with Qwen's splitting rules and all of its special tokens, and a vocabulary of this world.

The merges are chains: " circle" grows from " " + "c" letter by letter, so every merge adds one letter to the start of a known
word. A word of the questions and answers is then a token or two, while anything else, above all the words that are printed in
pictures, is spelt letter by letter: reading is naming what is seen, one letter at a time.
"""

import itertools
import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, pre_tokenizers

from recipe.tasks.phrases import corpus

REAL = Path(__file__).resolve().parents[2] / "reference" / "real" / "hub"
"""Qwen3-VL's own tokenizer files: the splitting rule, the special tokens and the chat template are taken from them."""
TEMPLATE = ["system\n", "user\n", "assistant\n", "<0.2 seconds>"]
"""What the chat template adds to the texts."""
ROWS = 64
"""The embedding's rows are a multiple of this, with some to spare, as in the published checkpoints."""


def write(folder: Path) -> dict[str, int]:
    """Writes the tokenizer's files into `folder`; gives the ids of the special tokens."""
    real = json.loads((REAL / "tokenizer.json").read_text())
    vocabulary, merges = chains(words(itertools.chain(corpus(), TEMPLATE), real))
    ids = {token["content"]: len(vocabulary) + i for i, token in enumerate(real["added_tokens"])}
    added = [dict(token, id=ids[token["content"]]) for token in real["added_tokens"]]
    vocabulary, merges = reachable(real, vocabulary, merges)
    model = with_vocabulary(dict(real, added_tokens=added), vocabulary, merges)
    config = json.loads((REAL / "tokenizer_config.json").read_text())
    config["added_tokens_decoder"] = {str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in added}
    put(folder / "tokenizer.json", json.dumps(model, ensure_ascii=False, indent=1))
    put(folder / "vocab.json", json.dumps(vocabulary, ensure_ascii=False, separators=(",", ":")))
    put(folder / "merges.txt", "".join(f"{a} {b}\n" for a, b in merges))
    put(folder / "tokenizer_config.json", json.dumps(config, ensure_ascii=False, indent=1))
    return ids


def rows(ids: dict[str, int]) -> int:
    """Rows of the embedding for a vocabulary that ends with the special tokens `ids`."""
    return (max(ids.values()) // ROWS + 1) * ROWS


def words(texts: Iterable[str], real: dict) -> list[str]:
    """The distinct pieces of two and more letters that Qwen's rule splits the texts into, in the alphabet of byte-level BPE."""
    splitter = Tokenizer.from_str(json.dumps(real)).pre_tokenizer
    pieces = {piece for text in texts for piece, _ in splitter.pre_tokenize_str(text)}
    return sorted(piece for piece in pieces if len(piece) > 1)


def chains(pieces: list[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges that build each piece from its first letter on; shorter prefixes come first."""
    starts = sorted({piece[:n] for piece in pieces for n in range(2, len(piece) + 1)}, key=lambda s: (len(s), s))
    tokens = sorted(pre_tokenizers.ByteLevel.alphabet()) + starts
    return {token: i for i, token in enumerate(tokens)}, [(s[:-1], s[-1]) for s in starts]


def with_vocabulary(real: dict, vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> dict:
    """Qwen's tokenizer with another vocabulary."""
    return dict(real, model=dict(real["model"], vocab=vocabulary, merges=[list(pair) for pair in merges]))


def reachable(
    real: dict, vocabulary: dict[str, int], merges: list[tuple[str, str]]
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """With fillers in place of the entries that no text ever becomes, such as " which" where "wh" merges first.

    Those do no harm but in tokenizers that take a whole word of the vocabulary as one token without merging. Fillers are no
    whole words. The ids must have no gaps: the special tokens come after them, numbered by how many there are.
    """
    bare = dict(real, added_tokens=[], pre_tokenizer=None, normalizer=None, post_processor=None)
    tokenizer = Tokenizer.from_str(json.dumps(with_vocabulary(bare, vocabulary, merges)))
    is_reached = lambda token: len(token) == 1 or tokenizer.encode(token).tokens == [token]
    kept = {t if is_reached(t) else f"<unused {i}>": i for t, i in vocabulary.items()}
    return kept, [pair for pair in merges if "".join(pair) in kept]


def put(path: Path, text: str) -> None:
    """Writes UTF-8 text with a closing line feed."""
    path.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")
