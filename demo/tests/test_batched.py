"""The training's forward path against transformers' own, through transformers' own processor."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

os.environ["HF_HUB_OFFLINE"] = "1"

from transformers import AutoProcessor

from recipe import checkpoint
from recipe.architecture import new_model
from recipe.batched import BatchedModel
from recipe.encode import Encoder, encode
from recipe.tasks import SAMPLERS, Question, Sample


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A checkpoint with first weights, large enough that every part counts."""
    out = tmp_path_factory.mktemp("model")
    model = new_model(checkpoint.prepare(out), seed=1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    model.save_pretrained(out / "float32")
    return out


def content(sample: Sample) -> list[dict]:
    if sample.frames:
        return [{"type": "video", "video": sample.frames}]
    return [{"type": "image", "image": picture} for picture in sample.pictures]


def theirs(folder: Path, sample: Sample, question: Question) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and logits of one question with its answers by transformers."""
    from PIL import Image
    from transformers import Qwen3VLForConditionalGeneration

    processor = AutoProcessor.from_pretrained(folder)
    messages = []
    for number, (asked, answer) in enumerate(question.turns):
        media = content(sample) if number == 0 else []
        messages.append({"role": "user", "content": [*media, {"type": "text", "text": asked}]})
        messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    prompt = processor.apply_chat_template(messages, tokenize=False)
    media = {}
    if sample.pictures:
        media["images"] = [Image.fromarray(picture) for picture in sample.pictures]
    if sample.frames:
        frames = torch.from_numpy(np.stack(sample.frames)).permute(0, 3, 1, 2)
        count = len(sample.frames)
        media["videos"] = [frames]
        media["video_metadata"] = [{"fps": 2.0, "total_num_frames": count, "frames_indices": list(range(count))}]
        media["do_sample_frames"] = False
    inputs = processor(text=[prompt], return_tensors="pt", **media)
    model = Qwen3VLForConditionalGeneration.from_pretrained(folder / "float32").eval()
    with torch.no_grad():
        return inputs["input_ids"][0], model(**inputs).logits[0]


@pytest.mark.parametrize("kind", ["scene", "pair", "clip", "words"])
def test_same_logits_as_transformers(folder: Path, kind: str) -> None:
    from transformers import Qwen3VLForConditionalGeneration

    # Of a size that the processor leaves as it is.
    sample = SAMPLERS[kind](np.random.default_rng(5), 128, 160, 1.0)
    encoder = Encoder.load(folder)
    batch = encode(encoder, [sample, sample], budget=200)
    model = Qwen3VLForConditionalGeneration.from_pretrained(folder / "float32")
    batched = BatchedModel(model, torch.float32, compiled=False)
    with torch.no_grad():
        seen = batched.see(batch.pixels) if len(batch.pixels) else None
        ours = batched.logits(batched.hidden(batch, seen).last)
    prefix = len(batch.prefix)
    asked = [number for number in batch.question[1].unique().tolist() if number >= 0]
    assert len(asked) >= 2
    for number in asked:
        own = batch.question[1] == number
        ids, logits = theirs(folder, sample, sample.questions[number])
        length = int(own.sum())
        assert ids[: prefix + length].tolist() == batch.prefix.tolist() + batch.ids[1][own].tolist()
        torch.testing.assert_close(ours[1][own], logits[prefix : prefix + length], atol=2e-4, rtol=1e-3)
