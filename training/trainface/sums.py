"""Means of a step's scalars over a tick, without a wait for the device in between."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from trainface.step import Stats


class Sums:
    """Sums of the step's scalars since the last tick, kept on the device; what is not finite is left out."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, Tensor] = {}

    def add(self, stats: Stats) -> None:
        for name, value in stats.items():
            value, finite = value.to(torch.float32), value.isfinite()
            value = torch.where(finite, value, 0.0)
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts[name] + finite if name in self._counts else finite.to(torch.int64)

    def means(self) -> dict[str, float]:
        """Waits for the device. A scalar that was never finite is NaN."""
        totals = {name: (float(total), int(self._counts[name])) for name, total in self._sums.items()}
        return {name: total / count if count else float("nan") for name, (total, count) in totals.items()}

    def clear(self) -> None:
        """Begin a new tick."""
        self._sums, self._counts = {}, {}

    def state_dict(self) -> dict[str, Any]:
        return {"sums": dict(self._sums), "counts": dict(self._counts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._sums, self._counts = dict(state["sums"]), dict(state["counts"])
