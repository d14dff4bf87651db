"""How two forms differ, in figures that are summed up batch by batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exportface.tolerances import Tolerance

Floats = NDArray[np.float32]
Levels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One form at one batch size against the reference; differences before quantising are in units of [-1, 1]."""

    form: str
    batch: int
    images: int
    max_delta: float
    mean_delta: float
    p9999_delta: float
    """The 99.99th percentile: one value in ten thousand differs by this or more."""
    max_levels: int
    mean_levels: float
    identical: float
    """Share of equal uint8 values."""

    def failures(self, allowed: Tolerance) -> list[str]:
        """What is beyond the tolerance, in words. A difference that is not a number is beyond it."""
        where = f"{self.form}, batch {self.batch}"
        found = []
        if not self.max_delta <= allowed.max_delta:
            found.append(f"{where}: max |delta| {self.max_delta:.3g} is over {allowed.max_delta:g}")
        if self.max_levels > allowed.max_levels:
            found.append(f"{where}: {self.max_levels} levels of difference are over {allowed.max_levels}")
        if not self.mean_levels <= allowed.mean_levels:
            found.append(f"{where}: {self.mean_levels:.3g} levels in the mean are over {allowed.mean_levels:g}")
        if not self.identical >= allowed.min_identical:
            found.append(f"{where}: {self.identical:.3%} equal values are under {allowed.min_identical:.1%}")
        return found


class Tally:
    """Running figures of one row; memory does not grow with the number of images."""

    def __init__(self, *, images: int) -> None:
        self._images = images
        self._largest = np.zeros(0, dtype=np.float32)
        self._sum = 0.0
        self._values = 0
        self._equal = 0
        self._max_levels = 0
        self._sum_levels = 0

    def add(self, floats: Floats, levels: Levels, other_floats: Floats, other_levels: Levels) -> None:
        """Take in one batch of the reference and of the other form; shapes as in `Form.run`."""
        assert floats.shape == other_floats.shape, (floats.shape, other_floats.shape)
        assert levels.shape == other_levels.shape, (levels.shape, other_levels.shape)
        deltas = np.abs(other_floats - floats).ravel()
        self._sum += float(deltas.sum(dtype=np.float64))
        self._values += deltas.size
        # The percentile over all values is exact: it lies among the largest, and those are kept. NumPy sorts NaN to
        # the end: a value that is not a number counts as the largest difference.
        keep = math.ceil(1e-4 * self._images * floats[0].size)
        largest = np.concatenate([self._largest, deltas])
        cut = max(len(largest) - keep, 0)
        self._largest = np.partition(largest, cut)[cut:]
        level_deltas = np.abs(other_levels.astype(np.int16) - levels)
        self._equal += int(np.count_nonzero(level_deltas == 0))
        self._max_levels = max(self._max_levels, int(level_deltas.max()))
        self._sum_levels += int(level_deltas.sum(dtype=np.int64))

    def row(self, form: str, batch: int) -> Row:
        """The figures of everything that was added."""
        return Row(
            form=form,
            batch=batch,
            images=self._images,
            max_delta=float(self._largest.max()),
            mean_delta=self._sum / self._values,
            p9999_delta=float(self._largest.min()),
            max_levels=self._max_levels,
            mean_levels=self._sum_levels / self._values,
            identical=self._equal / self._values,
        )


class Spread:
    """Running standard deviation of pictures, clamped to [-1, 1]."""

    def __init__(self) -> None:
        self._values, self._sum, self._squares = 0, 0.0, 0.0

    def add(self, floats: Floats) -> None:
        """Take in one batch, float32 [N, 3, H, W]."""
        shown = floats.clip(-1.0, 1.0).astype(np.float64)
        self._values += shown.size
        self._sum += float(shown.sum())
        self._squares += float(np.square(shown).sum())

    def std(self) -> float:
        """The deviation of everything that was added."""
        mean = self._sum / self._values
        return math.sqrt(max(self._squares / self._values - mean**2, 0.0))
