"""Adversarial losses as pure functions of logits: no optimiser, no logging, no device.

Each loss is a pair. `discriminator(real_logits, fake_logits)` and `generator(fake_logits, real_logits)` take float32
[N, 1] and return a float32 scalar. Sources: Goodfellow et al. 2014 (non-saturating), Jolicoeur-Martineau 2019 and Huang
et al. 2024 (relativistic pairing).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class AdversarialLoss:
    """The two sides of one adversarial game."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    """(real_logits, fake_logits) -> scalar that D minimises."""
    generator: Callable[[Tensor, Tensor], Tensor]
    """(fake_logits, real_logits) -> scalar that G minimises."""
    needs_real_logits: bool
    """Whether G's side reads the real logits; if not, it may be given fake logits twice."""


def relativistic_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """softplus(-(D(x) - D(G(z)))): each real should score above the fake it is paired with."""
    return F.softplus(fake_logits - real_logits).mean()


def relativistic_generator(fake_logits: Tensor, real_logits: Tensor) -> Tensor:
    """The same game from the other side; D(x) is a constant that must stay inside the softplus."""
    return F.softplus(real_logits - fake_logits).mean()


def bce_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-log D(x) - log(1 - D(G(z)))."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def bce_generator(fake_logits: Tensor, real_logits: Tensor) -> Tensor:
    """-log D(G(z)), the non-saturating form."""
    return F.softplus(-fake_logits).mean()


LOSSES: dict[str, AdversarialLoss] = {
    "relativistic": AdversarialLoss(
        discriminator=relativistic_discriminator, generator=relativistic_generator, needs_real_logits=True
    ),
    "bce": AdversarialLoss(discriminator=bce_discriminator, generator=bce_generator, needs_real_logits=False),
}


def pair_accuracy(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Share of real-fake pairs that D orders rightly: 0.5 is lost, 1.0 is overpowering. Free of D's level and scale."""
    return (real_logits > fake_logits).to(torch.float32).mean()
