"""What every supervised run is made of; a task adds its own fields in a dataclass that inherits these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from trainface.config import Precision
from trainface.record import Record, require, require_range
from trainface.schedules import Cosine

RESUME_MAY_CHANGE = frozenset({"kimg", "decay_kimg", "tick_kimg", "keep"})
"""Settings that a resumed run may change. A new length stretches the schedules, unless decay_kimg holds them."""


@dataclass(frozen=True, kw_only=True)
class SupervisedConfig(Record):
    """Length, optimiser and upkeep of a run. Schedules (`Cosine`) move over `decay_kimg` and stay at their end."""

    # The pictures.
    size: int
    """Side of the pictures in pixels."""
    x_flip: bool = True
    """Mirror half of the pictures."""

    # Optimisation.
    batch: int
    """Pictures in a step."""
    kimg: float
    """Length of the run in thousands of pictures seen."""
    decay_kimg: float | None = None
    """Length of the schedules in kimg; none: that of the run, so that a longer run stretches them."""
    lr: Cosine
    """Adam's learning rate for the networks that ship."""
    beta1: float = 0.9
    """Adam's first moment."""
    beta2: float = 0.99
    """Adam's second moment."""
    ema_halflife_kimg: float = 5.0
    """Half-life of the averaged networks; shorter while fewer than ten times as many pictures were seen."""

    # The run.
    tick_kimg: float = 5.0
    """Progress pictures, checkpoint and log entry every so many kimg."""
    keep: int = 2
    """Earlier checkpoints kept beside the last one."""
    precision: Precision = "auto"
    """bf16, fp32, or auto: bf16 autocast where the processor multiplies bf16 by itself, else fp32."""
    seed: int = 0
    """Seed of weights, order and everything random."""

    def __post_init__(self) -> None:
        require(self.precision in get_args(Precision), "precision", self.precision, get_args(Precision))
        for name in ("size", "batch", "keep"):
            require(getattr(self, name) > 0, name, getattr(self, name), "more than 0")
        for name in ("kimg", "tick_kimg", "decay_kimg"):
            value = getattr(self, name)
            require(value is None or 0.001 <= value <= 1e9, name, value, "0.001 (one picture) to 1e9")
        for name, high in {"lr": 1.0, "beta1": 0.999999, "beta2": 0.999999, "ema_halflife_kimg": 1e9}.items():
            require_range(name, getattr(self, name), 0.0, high)
        require(0 <= self.seed < 1 << 63, "seed", self.seed, "0 to 2^63 - 1")

    def progress(self, cur_nimg: int) -> float:
        """Where the schedules stand after `cur_nimg` pictures, 0 to 1."""
        return min(cur_nimg / (1000 * (self.decay_kimg or self.kimg)), 1.0)
