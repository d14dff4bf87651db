"""How far an exported encoder is from the one that it was made of, on the same pictures; and if that is allowed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from exportface.figures import Floats, Levels
from exportface.parity import SEED
from trainface.cartoons import render_many

Encode = Callable[[Levels], Floats]
"""Photos uint8 [N, S, S, 3] -> codes float32 [N, D]."""

ALLOWED = 1e-3
"""Largest difference of a number in a code, in units of the codes' root mean square. Sums in another order give 1e-6 in
a few layers and 1e-5 in a hundred; a wrong weight, or pixels shifted by half of one, 1e-1."""
_FACES, _NOISE = 24, 8


@dataclass(frozen=True, kw_only=True)
class CodeRow:
    """One batch size; differences are in units of the codes' root mean square."""

    batch: int
    max_delta: float
    mean_delta: float


@dataclass(frozen=True, kw_only=True)
class CodeParity:
    """All figures of one check."""

    photos: int
    code_rms: float
    """Root mean square of the reference's codes."""
    rows: tuple[CodeRow, ...]

    @property
    def failures(self) -> list[str]:
        """What is beyond the tolerance, in words; a difference that is not a number is beyond it."""
        return [
            f"encoder, batch {row.batch}: max |delta| {row.max_delta:.3g} of the codes' size is over {ALLOWED:g}"
            for row in self.rows
            if not row.max_delta <= ALLOWED
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is not a finite number becomes None."""
        rows = [{name: _plain(value) for name, value in asdict(row).items()} for row in self.rows]
        return {"photos": self.photos, "code_rms": _plain(self.code_rms), "allowed": ALLOWED, "rows": rows}


def sample_photos(size: int) -> Levels:
    """Drawn faces, and pictures of noise that use every level: uint8 [32, size, size, 3]."""
    faces = np.stack(list(render_many(SEED, range(_FACES), size)))
    noise = np.random.default_rng(SEED).integers(0, 256, (_NOISE, size, size, 3), dtype=np.uint8)
    return np.concatenate([faces, noise])


def measure_codes(reference: Floats, encode: Encode, photos: Levels, *, batches: Sequence[int]) -> CodeParity:
    """Hold the codes that `encode` gives for `photos`, at every batch size, against the reference's, float32 [N, D]."""
    rms = math.sqrt(float(np.square(reference, dtype=np.float64).mean()))
    rows = []
    for batch in batches:
        codes = np.concatenate([encode(photos[at : at + batch]) for at in range(0, len(photos), batch)])
        assert codes.shape == reference.shape, (codes.shape, reference.shape)
        deltas = np.abs(codes.astype(np.float64) - reference) / (rms or 1.0)
        rows.append(CodeRow(batch=batch, max_delta=float(deltas.max()), mean_delta=float(deltas.mean())))
    return CodeParity(photos=len(photos), code_rms=rms, rows=tuple(rows))


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
