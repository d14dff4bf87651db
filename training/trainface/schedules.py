"""Values that move over images seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

from genface.errors import UserError


@dataclass(frozen=True)
class Cosine:
    """A value that goes from `start` to `end` along half a cosine, and stays at `end`."""

    start: float
    end: float

    def at(self, progress: float) -> float:
        """The value at `progress` in [0, 1] of the schedule's length (clamped)."""
        progress = min(max(progress, 0.0), 1.0)
        return self.end + (self.start - self.end) * 0.5 * (1.0 + math.cos(math.pi * progress))

    @classmethod
    def parse(cls, text: str) -> Cosine:
        """Read `4e-4:1e-4` (from, to) or `2e-4` (constant)."""
        parts = text.split(":")
        try:
            values = [float(part) for part in parts]
        except ValueError:
            values = []
        if len(values) not in (1, 2) or not all(math.isfinite(value) for value in values):
            raise UserError(f"{text!r} is no schedule; write FROM:TO, as in 4e-4:1e-4, or one number")
        return cls(values[0], values[-1])

    def __str__(self) -> str:
        # Every digit: the text is what checkpoints keep.
        texts = [repr(float(value)).removesuffix(".0") for value in (self.start, self.end)]
        return texts[0] if self.start == self.end else ":".join(texts)
