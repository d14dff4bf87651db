"""What the classroom does to labels: soft, noisy, flipped and swapped ones, and reals that pass for fakes.

Sources: Salimans et al. 2016 (soft labels), Chintala et al. 2016, "How to train a GAN" (noisy and flipped ones),
Goodfellow et al. 2014 (minimax and its swapped, non-saturating form).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from trainface.networks import Scales


@dataclass(frozen=True, kw_only=True)
class Labels:
    """One step's labels, float32 [N, 1]."""

    real: Tensor
    """Of the reals in D's step, in [0, 1]."""
    fake: Tensor
    """Of the fakes in D's step, in [0, 1]."""
    swapped: Tensor
    """Of the fakes in G's step: 1 where they are labelled real, 0 where they keep their 0."""


def draw_labels(
    num: int, *, soft: float, noise: float, flips: float, swap: float, rng: torch.Generator, device: torch.device
) -> Labels:
    """Draw the labels of `num` reals and `num` fakes.

    soft: width of the uniform labels, reals get [1 - soft, 1], fakes [0, soft].
    noise: standard deviation of a Gaussian added to them; what leaves [0, 1] is cut off.
    flips: share of D's labels y that become 1 - y, noise and all.
    swap: share of G's images that are labelled real.
    How many random numbers are drawn depends on `num` alone.
    """
    uniform = torch.rand(5, num, 1, generator=rng, device=rng.device).to(device)
    normal = torch.randn(2, num, 1, generator=rng, device=rng.device).to(device)

    def disturb(label: Tensor, error: Tensor, chance: Tensor) -> Tensor:
        label = (label + noise * error).clamp(0, 1)
        return torch.where(chance < flips, 1 - label, label)

    return Labels(
        real=disturb(1 - soft * uniform[0], normal[0], uniform[2]),
        fake=disturb(soft * uniform[1], normal[1], uniform[3]),
        swapped=(uniform[4] < swap).to(torch.float32),
    )


def pass_off(reals: Scales, fakes: Scales, share: float, rng: torch.Generator) -> Scales:
    """Replace a share of the fakes by reals in disguise, the same ones at every scale.

    reals, fakes: float32 [N, 3, h, w] at each scale, N at least 2. Each takes the place of the fake beside it, so that
    no image stands on both sides of the same pair.
    """
    disguised = torch.rand(len(fakes[0]), 1, 1, 1, generator=rng, device=rng.device) < share
    return tuple(torch.where(disguised, real.roll(1, dims=0), fake) for real, fake in zip(reals, fakes, strict=True))
