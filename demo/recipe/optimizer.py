"""Muon for the weight matrices, Adam for the rest.

Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon/) turns the momentum of a matrix into the nearest
semi-orthogonal one by Newton-Schulz steps; here all matrices of one shape go through them together.
"""

from collections import defaultdict

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic step, from the reference above."""
STEPS = 5


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum for matrices; `lr` is the spectral norm of a square matrix's step."""

    def __init__(self, matrices: list[dict], lr: float):
        super().__init__(matrices, dict(lr=lr))

    @torch.no_grad()
    def step(self) -> None:
        shapes = defaultdict(list)
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes[parameter.shape].append((parameter, group["lr"]))
        for (rows, columns), chosen in shapes.items():
            updates = orthogonal(torch.stack([self.momentum(parameter) for parameter, _ in chosen]))
            scale = max(1, rows / columns) ** 0.5
            for (parameter, lr), update in zip(chosen, updates):
                parameter.add_(update, alpha=-lr * scale)

    def momentum(self, parameter: nn.Parameter) -> Tensor:
        """The gradient looked ahead along its momentum."""
        state = self.state[parameter]
        buffer = state.setdefault("momentum", torch.zeros_like(parameter))
        buffer.lerp_(parameter.grad, 1 - MOMENTUM)
        return parameter.grad.lerp(buffer, MOMENTUM)


def orthogonal(matrices: Tensor) -> Tensor:
    """[n, rows, columns] with all singular values brought near one."""
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    x = x.transpose(1, 2) if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(STEPS):
        gram = x @ x.mT
        gram = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, gram, x, beta=a)
    return (x.transpose(1, 2) if tall else x).to(matrices.dtype)


def tower(model: nn.Module) -> list[nn.Parameter]:
    """What learns from dense labels alone: all of it but DeepStack's mergers."""
    return [p for n, p in model.model.visual.named_parameters() if "deepstack" not in n]


def optimizers(model: nn.Module, heads: nn.Module, muon_rate: float, adam_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of blocks, layers and mergers; Adam for embeddings, patches, norms, biases and the dense heads.

    The groups are named: `tower`, `filters` (the patch embedding), `heads` and `rest`.
    """
    names = {id(p): "tower" for p in tower(model)} | {id(p): "heads" for p in heads.parameters()}
    names[id(model.model.visual.patch_embed.proj.weight)] = "filters"
    matrices, others = defaultdict(list), defaultdict(list)
    for name, parameter in [*model.named_parameters(), *heads.named_parameters(prefix="embed")]:
        chosen = matrices if parameter.ndim == 2 and "embed" not in name else others
        chosen[names.get(id(parameter), "rest")].append(parameter)
    groups = lambda parts: [dict(params=parameters, name=name) for name, parameters in parts.items()]
    adam = torch.optim.Adam(groups(others), lr=adam_rate, betas=(0.9, 0.98), fused=True)
    return [Muon(groups(matrices), muon_rate), adam]
