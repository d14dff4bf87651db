"""What the guard takes for an alarm and what it answers: a table, in the order in which signals are to be trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One row: which quantity alarms where, what that means, and the answer."""

    name: str
    quantity: str
    """A key of what `guard.Guard` derives from a tick's signals."""
    above: float = math.inf
    below: float = -math.inf
    means: str
    """In plain words; `{}` is the value."""
    losses: tuple[str, ...] = ()
    """Losses for which it means that; empty: all."""
    ticks: int = 2
    """Observations in a row that an alarm must last."""
    at_once: bool = False
    """Counts without lasting, in the first tenth of the run, and while the run follows an earlier answer."""
    gamma: float = 1.0
    g_lr: float = 1.0
    d_lr: float = 1.0
    augment: float = 0.0
    roll_back: bool = False

    @property
    def key(self) -> str:
        """Names the row in a checkpoint."""
        return f"{self.name}: {self.quantity}"

    def alarms(self, value: float) -> bool:
        """Whether the value is out of bounds; never for NaN."""
        return value > self.above or value < self.below


_NOT_FINITE: dict[str, Any] = dict(name="not finite", at_once=True, g_lr=0.5, d_lr=0.5, roll_back=True)
_D_TOO_STRONG: dict[str, Any] = dict(name="D too strong", gamma=2.0, d_lr=1 / 1.5, augment=0.05)
_D_HAS_WON = "the discriminator's loss is {:.3f}: it has won, and teaches the generator nothing"

# Healthy (../shared/notes/training.md, section 5): pair accuracy 0.6 to 0.9 under the relativistic loss, while a plain
# DCGAN's 0.85 to 0.97 is normal; diversity over 0.75, held-out gap under 0.2, out of range under 0.05, penalty 0.01 to
# 0.5, gradients within 5 times their median. A Wasserstein critic has no level: its accuracy and loss say nothing.
RULES: tuple[Rule, ...] = (
    Rule(quantity="broken", above=0, **_NOT_FINITE, means="weights or losses are not finite"),
    Rule(
        quantity="dropped", above=0.005, **_NOT_FINITE,
        means="{:.1%} of the steps had gradients that were not finite",
    ),
    Rule(
        name="collapse", quantity="diversity_unless_rising", below=0.4, gamma=2.0, g_lr=0.5, roll_back=True,
        means="generated faces are {:.2f} times as diverse as real ones: the generator collapses",
    ),
    Rule(
        name="out of range", quantity="out_of_range", above=0.2, g_lr=0.5, roll_back=True,
        means="{:.0%} of the generated values lie outside of a picture's range, beyond the share of the faces that is"
        " black or white: the generator runs away",
    ),
    Rule(
        name="KID rising", quantity="kid_over_best", above=1.5, ticks=3, g_lr=0.5, d_lr=0.5, roll_back=True,
        means="KID is {:.1f} times its best: the faces get worse",
    ),
    Rule(
        quantity="pair_accuracy", above=0.97, losses=("relativistic",), **_D_TOO_STRONG,
        means="the discriminator orders {:.1%} of the pairs rightly: it is too strong",
    ),
    Rule(
        name="D lost", quantity="pair_accuracy", below=0.52, losses=("relativistic", "bce", "lsgan", "hinge"),
        gamma=0.5, d_lr=1.5,
        means="the discriminator orders {:.1%} of the pairs rightly, no better than by chance",
    ),
    Rule(
        name="D's gradients", quantity="d_grad_ratio", above=20, d_lr=0.5,
        means="the discriminator's gradients are {:.0f} times as long as usual",
    ),
    Rule(
        name="G's gradients", quantity="g_grad_ratio", above=20, g_lr=0.5,
        means="the generator's gradients are {:.0f} times as long as usual",
    ),
    Rule(
        name="D too steep", quantity="penalty", above=5, gamma=2.0,
        means="the gradient penalty is {:.1f}: the discriminator is too steep",
    ),
    Rule(
        name="D too steep", quantity="r2_over_r1", above=10, gamma=2.0,
        means="the discriminator is {:.0f} times as steep at generated faces as at real ones",
    ),
    Rule(
        quantity="g_loss", above=4, losses=("relativistic",), **_D_TOO_STRONG,
        means="the generator's loss is {:.1f}: the discriminator is too strong",
    ),
    Rule(quantity="d_loss", below=0.05, losses=("relativistic", "bce", "hinge"), **_D_TOO_STRONG, means=_D_HAS_WON),
    Rule(quantity="d_loss", below=0.02, losses=("lsgan",), **_D_TOO_STRONG, means=_D_HAS_WON),
    Rule(
        name="overfitting", quantity="overfit_gap", above=0.4, augment=0.05,
        means="the held-out gap is {:.2f}: the discriminator learns the training faces by heart",
    ),
)  # fmt: skip
