"""Gradient penalties on the discriminator, as pure functions.

A critic takes the images of every scale that D reads, each float32 [N, 3, h, w], and returns logits float32 [N, 1];
each row is a function of its own image alone, so there is no BatchNorm inside. The squared norm of the gradient at an
image is summed over its scales.

`torch.func.grad` rather than `autograd.grad(create_graph=True)`: both differentiate twice in eager mode, but only the
former can stand inside a function that `torch.compile` compiles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from trainface.networks import Scales

# Under the root: it bounds the slope of the norm where the gradient vanishes, and moves a norm of 1 by less than a
# float32 can tell.
TINY = 1e-12


def zero_centred_penalty(critic: Callable[..., Tensor], images: Scales) -> tuple[Tensor, Tensor]:
    """Squared gradient norm of the critic at each image (R1 on reals, R2 on fakes; Mescheder et al. 2018).

    Returns (logits float32 [N, 1], squared norms float32 [N]), both differentiable in the critic's weights.
    """

    def total(*scales: Tensor) -> tuple[Tensor, Tensor]:
        logits = critic(*scales)
        return logits.sum(), logits

    gradients, logits = torch.func.grad(total, argnums=tuple(range(len(images))), has_aux=True)(*images)
    return logits, _squared_norm(gradients)


def length_one_penalty(critic: Callable[..., Tensor], reals: Scales, fakes: Scales, mix: Tensor) -> Tensor:
    """(norm - 1)^2 of the critic's gradient between each real and its fake (Gulrajani et al. 2017, eq. 3).

    mix: float32 [N, 1, 1, 1] in [0, 1], the share of the real, the same at every scale. Returns float32 [N],
    differentiable in the critic's weights, also where the gradient vanishes.
    """
    between = tuple(fake + mix * (real - fake) for real, fake in zip(reals, fakes, strict=True))
    gradients = torch.func.grad(lambda *scales: critic(*scales).sum(), argnums=tuple(range(len(between))))(*between)
    return ((_squared_norm(gradients) + TINY).sqrt() - 1).square()


def _squared_norm(gradients: Scales) -> Tensor:
    """float32 [N, 3, h, w] at each scale -> float32 [N]."""
    return torch.stack([level.to(torch.float32).square().sum(dim=(1, 2, 3)) for level in gradients]).sum(dim=0)
