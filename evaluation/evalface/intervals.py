"""Intervals around a score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Where a score would lie with other pictures from the same two sources, as many as now, at confidence `level`."""

    low: float
    high: float
    level: float = LEVEL

    @classmethod
    def normal(cls, value: float, standard_error: float, at_least: float | None = None) -> Self:
        """`value` plus and minus the normal quantile times `standard_error`, not below `at_least`."""
        reach = float(stats.norm.ppf((1 + LEVEL) / 2)) * standard_error
        low = value - reach
        return cls(low=low if at_least is None else max(at_least, low), high=value + reach)
