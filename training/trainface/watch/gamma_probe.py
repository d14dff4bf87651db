"""Finds the weight of the gradient penalty by trying a few on the run's own data."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from genface.errors import UserError
from trainface.config import OFF, Config
from trainface.schedules import Cosine

PROBE_STEPS = 160
_WINDOW = 32
_MOST_ACCURACY, _MOST_G_LOSS = 0.92, 2.0
_DOWNWARDS, _UPWARDS = (1.0, 1 / 3, 1 / 10), 3.0
_SECONDS_BETWEEN_LINES = 10.0


class Steps(Protocol):
    """What the probe needs of a trainer."""

    def step(self) -> dict[str, Tensor]:
        """Train on one batch; returns scalars, `d_loss`, `g_loss` and `pair_accuracy` among them."""


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    gamma: Cosine
    finite: bool
    """No loss was NaN or infinite in any step."""
    pair_accuracy: float
    g_loss: float
    """Means over the last steps of the probe."""

    @property
    def fits(self) -> bool:
        """Whether G can follow D."""
        return self.finite and self.pair_accuracy <= _MOST_ACCURACY and self.g_loss <= _MOST_G_LOSS

    def __str__(self) -> str:
        if not self.finite:
            return f"gamma {self.gamma}: the losses did not stay finite"
        verdict = "the generator can follow" if self.fits else "the discriminator runs ahead"
        return f"gamma {self.gamma}: pair accuracy {self.pair_accuracy:.2f}, g_loss {self.g_loss:.2f}: {verdict}"


def probe_gamma(config: Config, make_trainer: Callable[[Config], Steps], say: Callable[[str], None]) -> Cosine:
    """The smallest of the configured gamma, a third and a tenth of it with which G can follow D, else 3 times it.

    Each candidate trains anew from the same seed for 160 steps, about 50 s for `s64` on two cores, two or three of them
    in all: from the configured one downwards until one fails, and upwards only if that fails itself. It fails if a loss
    is not finite, or if over the last 32 steps D orders more than 92 % of the pairs rightly or G's loss exceeds 2.

    What so short a probe can tell: D takes a head start of about 80 steps with every gamma (pair accuracy to 0.99), and
    then G catches up or does not. On AFHQ-cat at 32 px (2026-11-22) a hundredfold range of gamma, 0.25 to 25, left pair
    accuracies of 0.82, 0.86, 0.84, 0.82 and 0.94 there, in no order, but losses of G of 2.5, 2.1, 1.7, 1.4 and 1.3. So
    it finds a gamma of a size with which training gets under way. It cannot tell the best one, nor a later collapse;
    for that there is the guard.

    Raises UserError for a loss other than the relativistic one, whose numbers the limits are, for a run without a
    penalty, and if no candidate stays finite.
    """
    if config.loss != "relativistic" or config.gamma == OFF:
        raise UserError(
            f"gamma can be probed for loss=relativistic with a penalty, not loss={config.loss}, gamma={config.gamma};"
            " give gamma as a number"
        )
    chosen: _Outcome | None = None
    tried: list[_Outcome] = []

    def look(factor: float) -> _Outcome:
        gamma = Cosine(_rounded(config.gamma.start * factor), _rounded(config.gamma.end * factor))
        outcome = _try(gamma, make_trainer(replace(config, gamma=gamma)), say)
        say(str(outcome))
        tried.append(outcome)
        return outcome

    say(f"probing gamma: {PROBE_STEPS} steps of {config.batch} faces with each of two or three")
    for factor in _DOWNWARDS:
        outcome = look(factor)
        if not outcome.fits:
            break
        chosen = outcome
    if chosen is None:
        look(_UPWARDS)
        finite = [outcome for outcome in tried if outcome.finite]
        if not finite:
            raise UserError(
                "probing gamma: the losses did not stay finite with any; give smaller learning rates (g_lr, d_lr)"
            )
        chosen = finite[-1]
    say(f"taking gamma {chosen.gamma}")
    return chosen.gamma


def _try(gamma: Cosine, trainer: Steps, say: Callable[[str], None]) -> _Outcome:
    history: list[Tensor] = []
    last_line = time.monotonic()
    for step in range(PROBE_STEPS):
        stats = trainer.step()
        history.append(torch.stack([stats[name].float() for name in ("pair_accuracy", "g_loss", "d_loss")]))
        if time.monotonic() - last_line > _SECONDS_BETWEEN_LINES:
            last_line = time.monotonic()
            say(f"gamma {gamma}: step {step + 1} of {PROBE_STEPS}")
    numbers = torch.stack(history)
    accuracy, g_loss, _ = numbers[-_WINDOW:].mean(dim=0).tolist()
    return _Outcome(gamma=gamma, finite=bool(numbers.isfinite().all()), pair_accuracy=accuracy, g_loss=g_loss)


def _rounded(value: float) -> float:
    """To three digits: a probe knows no more."""
    return float(f"{value:.3g}")
