"""Trains the demo model: `python -m recipe.train`, from demo/. Stops and goes on at any time; see README.md.

First the vision tower alone learns dense labels, then the whole model learns to answer, the tower's labels beside it.
"""

import argparse
import math
import os
import time
from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from recipe import checkpoint
from recipe.architecture import new_model
from recipe.batched import Batch, BatchedModel, Hidden
from recipe.data import DENSE, JOINT, LAST, LATE, Step, Steps, loader
from recipe.dense import DenseHeads
from recipe.encode import Encoder
from recipe.optimizer import optimizers, tower

HERE = Path(__file__).resolve().parents[1]
SAVE_EVERY = 500
LOG_EVERY = 50
WARM = 100
"""Steps over which the rates rise from nothing, in each phase."""
EASY = 1500
"""Steps at the start of each phase over which the pictures become difficult."""
DENSE_END = 0.3
"""Part of the full rate at the end of the dense phase."""
JOINT_RATE = 0.7
"""Part of the full rate in the joint phase, until it falls."""
EARLY_STEPS = 3500
"""Steps of the joint phase before its mixture changes."""
LATE_STEPS = 1500
"""Steps with the changed mixture before names are learnt as such."""
DECAY = 2500
"""Steps at the end over which the rates fall to nothing. What comes before does not depend on the number of steps, so a longer
training goes on from the state that is kept at this point."""
FROZEN = 800
"""Steps at the start of the joint phase in which the tower stays as it is: an untrained decoder would spoil it."""
TOWER_FACTOR = 0.3
"""Rate of the tower in the joint phase, of that of the decoder."""
LAST_TOWER_FACTOR = 0.5
"""The same while names are learnt: what reading lacks by then is the tower's."""
FILTER_FACTOR = 0.05
"""Rate of the patch embedding, of the tower's: each output sums 1536 pixels, and the filters start well."""
DENSE_WEIGHT = 0.3
"""Weight of the dense labels while the whole model learns."""
NAMES_WEIGHT = 0.5
"""Weight of what names stand for."""


class Trainer:
    """Model, optimisers and the step number; all of it is saved and found again."""

    def __init__(self, options: argparse.Namespace, config: dict):
        self.options = options
        self.model = new_model(config, options.seed).to(options.device)
        self.heads = DenseHeads().to(options.device)
        self.optimizers = optimizers(self.model, self.heads, options.muon_rate, options.adam_rate)
        self.tower = tower(self.model)
        self.step = 0
        self.batched = BatchedModel(self.model, torch.bfloat16, compiled=not options.eager)
        self.sums: dict[str, list[float]] = defaultdict(list)

    def load(self, path: Path) -> None:
        """Takes up a saved state."""
        state = torch.load(path, map_location=self.options.device, weights_only=True)
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.heads.load_state_dict(state["heads"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)

    def save(self, path: Path) -> None:
        """Writes the state; a kill in the middle leaves the old one."""
        state = dict(step=self.step, model=self.model.state_dict(), heads=self.heads.state_dict())
        state["optimizers"] = [optimizer.state_dict() for optimizer in self.optimizers]
        beside = path.with_suffix(".new")
        torch.save(state, beside)
        os.replace(beside, path)

    def learn(self, step: Step) -> None:
        """One step of training."""
        for parameter in self.tower:
            parameter.requires_grad_(not self.frozen())
        loss = torch.zeros((), device=self.options.device)
        pixels = step.pixels.to(self.options.device)
        seen = self.batched.see(pixels) if len(pixels) else None
        if step.labels is not None and not self.frozen():
            labels = [t.to(self.options.device) for t in step.labels]
            dense, shares = self.heads.loss(seen, *labels)
            if self.last():
                dense = dense + self.heads.letter_loss(seen.merged, labels[0])
            loss = loss + dense * (1 if step.batch is None else DENSE_WEIGHT)
            self.note_all(shares)
        if step.batch is not None:
            loss = loss + self.answer_loss(step, to_device(step.batch, self.options.device), seen)
        if loss.requires_grad:
            loss.backward()
        self.update()

    def frozen(self) -> bool:
        """Whether the tower stays as it is in this step."""
        return 0 <= self.step - self.options.dense_steps < FROZEN

    def last(self) -> bool:
        """Whether the names of things are learnt as such, and narrow letters."""
        return self.step >= self.options.dense_steps + EARLY_STEPS + LATE_STEPS

    def answer_loss(self, step: Step, batch: Batch, seen) -> Tensor:
        """Mean cross entropy of the answers' tokens; long answers weigh more, and so do the digits of boxes."""
        hidden = self.batched.hidden(batch, seen)
        learnt = batch.targets >= 0
        logits = self.batched.logits(hidden.last[learnt])
        loss = F.cross_entropy(logits, batch.targets[learnt])
        self.note(f"{step.kind} loss", loss)
        self.note(f"{step.kind} right", self.whole(logits, batch, learnt))
        return loss + self.names_loss(step, batch, hidden) if self.last() else loss

    def names_loss(self, step: Step, batch: Batch, hidden: Hidden) -> Tensor:
        """Loss of what the tokens of names, and those of the second picture of a pair, know in the middle of the decoder."""
        loss, shares = self.heads.names_loss(hidden, batch)
        if step.kind == "pair":
            kind, colour, _ = (t.to(self.options.device) for t in step.labels)
            pair, more = self.heads.pair_loss(hidden, batch, kind, colour)
            loss, shares = loss + pair, shares | more
        self.note_all(shares)
        return loss * NAMES_WEIGHT

    @staticmethod
    def whole(logits: Tensor, batch: Batch, learnt: Tensor) -> Tensor:
        """Share of questions whose answers would be right in every token, each given the right ones before."""
        rows = torch.arange(len(batch.ids), device=batch.ids.device)[:, None].expand_as(batch.ids)
        number = (rows * batch.ids.shape[1] + batch.question)[learnt]
        wrong = logits.detach().argmax(-1) != batch.targets[learnt]
        return 1 - number[wrong].unique().numel() / torch.tensor(number.unique().numel())

    def update(self) -> None:
        """Applies the gradients at the rates of this step."""
        share = self.rate()
        for optimizer, rate in zip(self.optimizers, (self.options.muon_rate, self.options.adam_rate)):
            for group in optimizer.param_groups:
                group["lr"] = rate * share * self.factor(group["name"])
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1

    def factor(self, group: str) -> float:
        """Rate of a group of parameters, of the full one."""
        joint = 1.0 if self.step < self.options.dense_steps else LAST_TOWER_FACTOR if self.last() else TOWER_FACTOR
        return {"tower": joint, "filters": joint * FILTER_FACTOR}.get(group, 1.0)

    def rate(self) -> float:
        """Part of the full rate: it rises quickly in each phase, and falls evenly in the first one and at the end of the second."""
        dense, total = self.options.dense_steps, self.options.steps
        if self.step < dense:
            return min((self.step + 1) / WARM, 1 - (1 - DENSE_END) * self.step / dense)
        return JOINT_RATE * min((self.step - dense + 1) / WARM, (total - self.step) / DECAY, 1.0)

    def note(self, name: str, value: Tensor) -> None:
        self.sums[name].append(float(value.detach()))

    def note_all(self, values: dict[str, Tensor]) -> None:
        for name, value in values.items():
            self.note(name, value)

    def report(self, seconds: float) -> str:
        """Means since the last report, as one line."""
        means = {n: [v for v in values if not math.isnan(v)] for n, values in sorted(self.sums.items())}
        self.sums.clear()
        parts = [f"{name} {sum(values) / len(values):.3f}" for name, values in means.items() if values]
        return f"step {self.step} ({seconds:.2f} s each): " + ", ".join(parts)


def to_device(batch: Batch, device: str) -> Batch:
    return Batch(**{name: value.to(device) for name, value in vars(batch).items()})


def phases(options: argparse.Namespace, encoder: Encoder, step: int):
    """The steps that are left: of the dense phase, of the joint one, and of the joint one with the late and the last mixture."""
    dense, total = options.dense_steps, options.steps
    late = min(total, dense + EARLY_STEPS)
    last = min(total, late + LATE_STEPS)
    if step < dense:
        yield Steps(None, options.seed, DENSE, step, dense, EASY)
    if step < late:
        yield Steps(encoder, options.seed + 1, JOINT, max(step - dense, 0), late - dense, EASY)
    if step < last:
        yield Steps(encoder, options.seed + 2, LATE, max(step - late, 0), last - late, easy=0)
    yield Steps(encoder, options.seed + 3, LAST, max(step - last, 0), total - last, easy=0)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument(
        "--state", type=Path, default=HERE / "state", help="folder of the state that training goes on from"
    )
    parser.add_argument(
        "--out", type=Path, default=HERE / "model", help="folder of the checkpoint that is written at the end"
    )
    parser.add_argument("--steps", type=int, default=14500, help="steps in all")
    parser.add_argument("--dense-steps", type=int, default=3000, help="steps of the dense phase")
    parser.add_argument("--muon-rate", type=float, default=0.02)
    parser.add_argument("--adam-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1, help="processes that draw")
    parser.add_argument(
        "--eager", action="store_true", help="do not compile the model; slower, but needs no C++ compiler"
    )
    return parser.parse_args()


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    options.state.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(options, checkpoint.prepare(options.out))
    saved = options.state / "state.pt"
    if saved.exists():
        trainer.load(saved)
    encoder = Encoder.load(options.out)
    clock = time.monotonic()
    for steps in phases(options, encoder, trainer.step):
        for step in loader(steps, options.workers):
            trainer.learn(step)
            if trainer.step % LOG_EVERY == 0:
                print(trainer.report((time.monotonic() - clock) / LOG_EVERY), flush=True)
                clock = time.monotonic()
            if trainer.step % SAVE_EVERY == 0:
                trainer.save(saved)
            if trainer.step == options.steps - DECAY:
                trainer.save(options.state / "before_decay.pt")
    trainer.save(saved)
    checkpoint.save_weights(trainer.model, options.out)


if __name__ == "__main__":
    main()
