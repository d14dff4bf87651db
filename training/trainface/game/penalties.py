"""Gradient penalties on the discriminator, as pure functions.

`torch.func.grad` rather than `autograd.grad(create_graph=True)`: both differentiate twice in eager mode, but only the
former can stand inside a function that `torch.compile` compiles.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def zero_centred_penalty(critic: Callable[[Tensor], Tensor], images: Tensor) -> tuple[Tensor, Tensor]:
    """Squared gradient norm of the critic at each image (R1 on reals, R2 on fakes; Mescheder et al. 2018).

    critic: float32 [N, 3, H, W] -> float32 [N, 1], each row a function of its own image alone (so no BatchNorm inside).
    Returns (logits float32 [N, 1], squared norms float32 [N]), both differentiable in the critic's weights.
    """

    def total(x: Tensor) -> tuple[Tensor, Tensor]:
        logits = critic(x)
        return logits.sum(), logits

    gradient, logits = torch.func.grad(total, has_aux=True)(images)
    return logits, gradient.to(torch.float32).square().sum(dim=(1, 2, 3))
