"""How far the exported forms are from the network they were made of, on the same latents; and whether that is allowed.

Two questions are asked of each form. Are the numbers right: the last float tensor, in units of [-1, 1], before any
clamping, since a clamp would only hide differences. Are the pictures right: the uint8 values after quantising. A third
is asked of forms whose last nodes can be run alone: do they quantise made-up values, far outside [-1, 1] too, exactly
as genface does? A generator that ends in tanh never leaves [-1, 1], so its pictures don't show that a clamp is missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genface.contract import to_rgb
from genface.latents import latents

Floats = NDArray[np.float32]
Levels = NDArray[np.uint8]

SEED = 20_231_109
"""Seed of the latents that parity is measured on (`genface.latents`): none that a training run saw."""
PLAN: Mapping[int, int] = {1: 64, 3: 32, 64: 15}
"""Batch size to number of batches."""
NUM_LATENTS = sum(batch * batches for batch, batches in PLAN.items())
"""1,120 in all."""

MAX_DELTA = 1e-4
"""Largest difference in [-1, 1], 0.013 of a level. Summing fp32 in another order gives 1e-6, a wrong weight 1e-2."""
MAX_LEVELS = 1
"""Largest difference of a uint8 value: one that lies on the border of two levels may fall to either side."""
MIN_IDENTICAL = 0.999
"""Least share of equal uint8 values. `MAX_LEVELS` alone would pass a floor in the rounding's place, which moves half of
all values by one level; differences of 1e-6 move one value in eight thousand."""
MIN_STD = 0.2
"""Standard deviation in [-1, 1] from which on the pictures say something: those of an untrained net are flat."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """One form of the generator, ready to run."""

    run: Callable[[Floats], tuple[Floats, Levels]]
    """z float32 [N, z_dim] -> the last float tensor, float32 [N, 3, H, W], and the pictures, uint8 [N, H, W, 3]."""
    quantise: Callable[[Floats], Levels] | None = None
    """The form's last nodes alone, float32 [N, 3, H, W] -> uint8 [N, H, W, 3]; None where they can't be run alone."""


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
    identical: float
    """Share of equal uint8 values."""

    def failures(self) -> list[str]:
        """What is beyond the tolerances, in words. A difference that is not a number is beyond them."""
        where = f"{self.form}, batch {self.batch}"
        found = []
        if not self.max_delta <= MAX_DELTA:
            found.append(f"{where}: max |delta| {self.max_delta:.3g} is over {MAX_DELTA:g}")
        if self.max_levels > MAX_LEVELS:
            found.append(f"{where}: {self.max_levels} levels of difference are over {MAX_LEVELS}")
        if self.identical < MIN_IDENTICAL:
            found.append(f"{where}: {self.identical:.3%} equal values are under {MIN_IDENTICAL:.1%}")
        return found


@dataclass(frozen=True, kw_only=True)
class Parity:
    """All figures of one check."""

    images: int
    output_std: float
    """Standard deviation of the reference's pictures, clamped to [-1, 1]."""
    rows: tuple[Row, ...]
    quantiser_errors: Mapping[str, int]
    """Form to number of made-up values that its last nodes quantise otherwise than genface does."""

    @property
    def failures(self) -> list[str]:
        """What is beyond the tolerances, in words; empty when all is well."""
        found = [failure for row in self.rows for failure in row.failures()]
        for form, errors in self.quantiser_errors.items():
            if errors:
                found.append(f"{form}: {errors} made-up values are clamped, rounded or ordered wrongly")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the seed and the tolerances that they were held against."""
        return {
            "seed": SEED,
            "images": self.images,
            "output_std": self.output_std,
            "tolerances": {"max_delta": MAX_DELTA, "max_levels": MAX_LEVELS, "min_identical": MIN_IDENTICAL},
            "rows": [asdict(row) for row in self.rows],
            "quantiser_errors": dict(self.quantiser_errors),
        }


def measure(
    reference: Form,
    forms: Mapping[str, Form],
    z_dim: int,
    *,
    plan: Mapping[int, int] = PLAN,
) -> Parity:
    """Hold `forms` against `reference` on fresh latents, at every batch size of `plan` (size to number of batches)."""
    assert plan
    spread, rows, done = _Spread(), [], 0
    for batch, batches in plan.items():
        tallies = {name: _Tally(images=batch * batches) for name in forms}
        for _ in range(batches):
            z = latents(SEED, range(done, done + batch), z_dim)
            floats, levels = reference.run(z)
            spread.add(floats)
            for name, form in forms.items():
                tallies[name].add(floats, levels, *form.run(z))
            done += batch
        rows += [tally.row(name, batch) for name, tally in tallies.items()]
    height, width = floats.shape[2:]
    return Parity(
        images=done,
        output_std=spread.std(),
        rows=tuple(sorted(rows, key=lambda row: row.form)),
        quantiser_errors={
            name: quantiser_errors(form.quantise, height, width)
            for name, form in forms.items()
            if form.quantise is not None
        },
    )


def quantiser_errors(quantise: Callable[[Floats], Levels], height: int, width: int) -> int:
    """Count the made-up values that `quantise` takes otherwise than `genface.contract.to_rgb`.

    Exact equality is asked: one multiplication, one addition and a rounding leave no room for another order of sums.
    """
    made_up = _made_up_floats(height, width)
    return int(np.count_nonzero(quantise(made_up) != to_rgb(made_up, "NCHW", "-1 to 1")))


def _made_up_floats(height: int, width: int) -> Floats:
    """float32 [N, 3, H, W]: every level from -383 to 638, every border between two levels, and far beyond; shuffled."""
    steps = np.arange(-2 * 383, 2 * 638 + 1) / 2.0
    values = np.concatenate([(steps - 127.5) / 127.5, np.array([-1e4, 1e4, -0.0, 0.0])])
    images = math.ceil(len(values) / (3 * height * width))
    filled = np.resize(values, images * 3 * height * width)
    return np.random.default_rng(0).permutation(filled).reshape(images, 3, height, width).astype(np.float32)


class _Tally:
    """Running figures of one row; memory does not grow with the number of images."""

    def __init__(self, *, images: int) -> None:
        self._images = images
        self._largest = np.zeros(0, dtype=np.float32)
        self._sum = 0.0
        self._values = 0
        self._equal = 0
        self._max_levels = 0

    def add(self, floats: Floats, levels: Levels, other_floats: Floats, other_levels: Levels) -> None:
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

    def row(self, form: str, batch: int) -> Row:
        return Row(
            form=form,
            batch=batch,
            images=self._images,
            max_delta=float(self._largest.max()),
            mean_delta=self._sum / self._values,
            p9999_delta=float(self._largest.min()),
            max_levels=self._max_levels,
            identical=self._equal / self._values,
        )


class _Spread:
    """Running standard deviation of pictures, clamped to [-1, 1]."""

    def __init__(self) -> None:
        self._values, self._sum, self._squares = 0, 0.0, 0.0

    def add(self, floats: Floats) -> None:
        shown = floats.clip(-1.0, 1.0).astype(np.float64)
        self._values += shown.size
        self._sum += float(shown.sum())
        self._squares += float(np.square(shown).sum())

    def std(self) -> float:
        mean = self._sum / self._values
        return math.sqrt(max(self._squares / self._values - mean**2, 0.0))
