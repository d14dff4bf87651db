"""Adversarial losses as pure functions of logits: no optimiser, no logging, no device.

Sources: Goodfellow et al. 2014 (BCE), Mao et al. 2017 (least squares), Lim & Ye 2017 and Miyato et al. 2018 (hinge),
Arjovsky et al. 2017 (Wasserstein), Jolicoeur-Martineau 2019 and Huang et al. 2024 (relativistic pairing).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trainface.game.label_tricks import Labels


@dataclass(frozen=True, kw_only=True)
class AdversarialLoss:
    """The two sides of one adversarial game. Logits are float32 [N, 1], losses float32 scalars to be minimised."""

    discriminator: Callable[[Tensor, Tensor, Labels | None], Tensor]
    """(real_logits, fake_logits, labels) -> what D minimises; labels None: 1 for reals, 0 for fakes."""
    generator: Callable[[Tensor, Tensor, Labels | None], Tensor]
    """(fake_logits, real_logits, labels) -> what G minimises; labels None: all of its images are labelled real."""
    labelled: bool
    """Whether it compares logits with labels; if not, labels must be None."""
    needs_real_logits: bool
    """Whether G's side reads the real logits; if not, it may be given fake logits twice."""


def bce(logits: Tensor, label: Tensor) -> Tensor:
    """-y log s(x) - (1 - y) log(1 - s(x)) for each logit x with label y in [0, 1], s the logistic function."""
    return F.binary_cross_entropy_with_logits(logits, label, reduction="none")


def least_squares(logits: Tensor, label: Tensor) -> Tensor:
    """(x - y)^2 for each logit x with label y in [0, 1]."""
    return (logits - label).square()


def hinge(logits: Tensor, label: Tensor) -> Tensor:
    """max(0, 1 - (2y - 1) x) for each logit x with label y in [0, 1]."""
    return F.relu(1 - (2 * label - 1) * logits)


def relativistic_discriminator(real_logits: Tensor, fake_logits: Tensor, labels: Labels | None) -> Tensor:
    """softplus(-(D(x) - D(G(z)))): each real should score above the fake it is paired with."""
    assert labels is None, "a pair has no labels"
    return F.softplus(fake_logits - real_logits).mean()


def relativistic_generator(fake_logits: Tensor, real_logits: Tensor, labels: Labels | None) -> Tensor:
    """The same game from the other side; D(x) is a constant that must stay inside the softplus."""
    assert labels is None, "a pair has no labels"
    return F.softplus(real_logits - fake_logits).mean()


def wasserstein_discriminator(real_logits: Tensor, fake_logits: Tensor, labels: Labels | None) -> Tensor:
    """D(G(z)) - D(x): minus the distance that a critic of slope one would measure; without bound for any other."""
    assert labels is None, "a distance has no labels"
    return fake_logits.mean() - real_logits.mean()


def wasserstein_generator(fake_logits: Tensor, real_logits: Tensor, labels: Labels | None) -> Tensor:
    """-D(G(z))."""
    assert labels is None, "a distance has no labels"
    return -fake_logits.mean()


def _labelled(judge: Callable[[Tensor, Tensor], Tensor], praise: Callable[[Tensor], Tensor]) -> AdversarialLoss:
    """The game of a loss `judge(logits, label)`, in which G minimises `praise` of the images labelled real.

    The images that keep their label 0 play Goodfellow's minimax instead: on them G maximises what D minimises.
    """

    def discriminator(real_logits: Tensor, fake_logits: Tensor, labels: Labels | None) -> Tensor:
        real = torch.ones_like(real_logits) if labels is None else labels.real
        fake = torch.zeros_like(fake_logits) if labels is None else labels.fake
        return judge(real_logits, real).mean() + judge(fake_logits, fake).mean()

    def generator(fake_logits: Tensor, real_logits: Tensor, labels: Labels | None) -> Tensor:
        if labels is None:
            return praise(fake_logits).mean()
        minimax = -judge(fake_logits, torch.zeros_like(fake_logits))
        return torch.where(labels.swapped > 0, praise(fake_logits), minimax).mean()

    return AdversarialLoss(discriminator=discriminator, generator=generator, labelled=True, needs_real_logits=False)


LOSSES: dict[str, AdversarialLoss] = {
    "relativistic": AdversarialLoss(
        discriminator=relativistic_discriminator,
        generator=relativistic_generator,
        labelled=False,
        needs_real_logits=True,
    ),
    "bce": _labelled(bce, lambda logits: bce(logits, torch.ones_like(logits))),
    "lsgan": _labelled(least_squares, lambda logits: least_squares(logits, torch.ones_like(logits))),
    # G's hinge has no corner: past a margin it would stop learning while D still moves (Lim & Ye 2017, eq. 18).
    "hinge": _labelled(hinge, lambda logits: -logits),
    "wgan": AdversarialLoss(
        discriminator=wasserstein_discriminator,
        generator=wasserstein_generator,
        labelled=False,
        needs_real_logits=False,
    ),
}


def pair_accuracy(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Share of real-fake pairs that D orders rightly: 0.5 is lost, 1.0 is overpowering. Free of D's level and scale."""
    return (real_logits > fake_logits).to(torch.float32).mean()
