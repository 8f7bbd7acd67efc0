"""Writes demo/goldens: what transformers answers to some of the held-out questions. usage, from demo/: python -m recipe.goldens

goldens.json: for each question its id, the greedy answer's text and token ids, and the prompt's token ids.
goldens.safetensors: for each, float32 logits [answer tokens, vocabulary] before each token of the answer.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from recipe.evaluate import HERE, MOST_TOKENS, Model, questions

FOLDER = HERE / "goldens"
PICTURES = ["colour", "count", "shape", "position", "describe", "box", "read", "read", "chart", "followup_box"]
"""Tasks of the ten single pictures, each another picture."""
LEAST_MARGIN = 0.02
"""Least gap in logits between the token of a golden answer and the next best: rounding must not decide."""


def media(question: dict) -> list[str]:
    """Paths of the question's media."""
    content = [p for m in question["messages"] if isinstance(m["content"], list) for p in m["content"]]
    return [part[part["type"]] for part in content if part["type"] != "text"]


def wanted(all_questions: list[dict]) -> list[list[dict]]:
    """Candidates for each golden in turn: ten pictures, two pairs, two clips."""
    of_task = lambda task: [q for q in all_questions if q["task"] == task and media(q)]
    return [of_task(task) for task in [*PICTURES, "pair", "pair", "motion", "motion"]]


@torch.no_grad()
def golden(model: Model, question: dict, folder: Path) -> tuple[dict, torch.Tensor]:
    """The greedy answer and the logits before each of its tokens."""
    inputs = model.inputs(question["messages"], folder)
    prompt = inputs["input_ids"][0]
    generated = model.model.generate(
        **inputs, do_sample=False, max_new_tokens=MOST_TOKENS, output_logits=True, return_dict_in_generate=True
    )
    answer, logits = generated.sequences[0, len(prompt) :], torch.cat(generated.logits).float()
    entry = dict(id=question["id"], answer=model.processor.tokenizer.decode(answer, skip_special_tokens=True))
    return dict(entry, answer_ids=answer.tolist(), prompt_ids=prompt.tolist()), logits


def margin(logits: torch.Tensor) -> float:
    """The least gap between the best and the second best token."""
    best = logits.topk(2).values
    return float((best[:, 0] - best[:, 1]).min())


def main() -> None:
    data = HERE / "heldout" / "questions.jsonl"
    model = Model(HERE / "model")
    entries, tensors, used = [], {}, set()
    for candidates in wanted(questions(data)):
        for question in candidates:
            if used.isdisjoint(media(question)):
                entry, logits = golden(model, question, data.parent)
                if margin(logits) >= LEAST_MARGIN:
                    break
        else:
            raise SystemExit("no question of a task has a clear enough answer: lower LEAST_MARGIN")
        used.update(media(question))
        entries.append(entry)
        tensors[entry["id"]] = logits.contiguous()
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "goldens.json").write_text(json.dumps(entries, indent=1) + "\n")
    save_file(tensors, FOLDER / "goldens.safetensors")


if __name__ == "__main__":
    main()
