"""How far a form of the generator may be from the network that was trained: one row per precision, with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """Bounds of what is allowed; differences before quantising are in units of [-1, 1]."""

    max_delta: float
    """Largest difference of any number before quantising."""
    max_levels: int
    """Largest difference of a uint8 value."""
    min_identical: float
    """Least share of equal uint8 values."""
    mean_levels: float
    """Largest mean difference of the uint8 values."""
    reason: str
    """Why these bounds, in a few words."""

    def __add__(self, other: Tolerance) -> Tolerance:
        """What is allowed where both causes of differences meet: at worst they add up."""
        return Tolerance(
            max_delta=self.max_delta + other.max_delta,
            max_levels=self.max_levels + other.max_levels,
            min_identical=max(self.min_identical + other.min_identical - 1.0, 0.0),
            mean_levels=self.mean_levels + other.mean_levels,
            reason=f"{self.reason}; {other.reason}",
        )


# Measured on 1,120 latents at batch 1, 3 and 64: the worst of two norm-free generators of 64 px, trained on cats for
# 360 and 125 kimg, and a DCGAN after 140 kimg, on the CPU by default and OpenVINO. Max |delta|, levels, share, mean:
TOLERANCES: Mapping[str, Tolerance] = {
    # 3.0e-6, 1 level, 99.998 %, 0.00003. A floor in the rounding's place stays within 1 level; it moves half of all
    # values, and 1e-6 one in 50,000.
    "fp32": Tolerance(
        max_delta=1e-4,
        max_levels=1,
        min_identical=0.999,
        mean_levels=0.001,
        reason="sums in another order give 1e-6, a wrong weight 1e-2",
    ),
    # 2.2e-2, 3 levels, 86.2 %, 0.14. Wide, since it grows with depth: random weights of four times as many layers had a
    # third of their values moved.
    "bf16": Tolerance(
        max_delta=0.1,
        max_levels=12,
        min_identical=0.5,
        mean_levels=0.7,
        reason="numbers between layers are rounded to 8 binary digits",
    ),
    # 1.9e-3, 1 level, 98.5 %, 0.016.
    "fp16": Tolerance(
        max_delta=0.01,
        max_levels=2,
        min_identical=0.95,
        mean_levels=0.05,
        reason="weights are rounded to 11 binary digits",
    ),
    # 1.0, 77 levels, 17.4 %, 2.1. The mean is what bounds it, and export keeps it at 2.5 levels on other latents;
    # single numbers go far where a range was cut, in a tiny net without tanh as far as 2.2.
    "int8": Tolerance(
        max_delta=4.0,
        max_levels=255,
        min_identical=0.1,
        mean_levels=3.0,
        reason="numbers between layers lie on 256 steps, cut at what calibration saw",
    ),
}
"""By the precision of a file or of a runtime's arithmetic."""


def tolerance_for(*precisions: str) -> Tolerance:
    """What is allowed to a file of one precision on a runtime of another: fp32 adds nothing to what is coarser."""
    coarse = [TOLERANCES[precision] for precision in dict.fromkeys(precisions) if precision != "fp32"]
    return reduce(Tolerance.__add__, coarse) if coarse else TOLERANCES["fp32"]
