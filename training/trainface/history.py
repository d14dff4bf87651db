"""What log.jsonl tells: the ticks, the scores and the events of a run, each a line of JSON in the order of time.

A tick has `images_per_second`; a score has `scores` and `best_ema`; an event has `event`. All have `kimg`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOG = "log.jsonl"


@dataclass(frozen=True, kw_only=True)
class Score:
    """The averaged generators scored at one moment."""

    kimg: float
    by_ema: dict[str, dict[str, float]]
    """By half-life, then by score: `kid` (unbiased, not times 1,000) and `frechet`."""
    best_ema: str

    @property
    def best(self) -> dict[str, float]:
        """The scores of the best half-life."""
        return self.by_ema[self.best_ema]


@dataclass(frozen=True, kw_only=True)
class Event:
    """What the guard or the trainer did."""

    kimg: float
    message: str


@dataclass(frozen=True, kw_only=True)
class History:
    """A run so far, in the order of time; after a roll-back `kimg` goes back as well."""

    ticks: tuple[dict[str, Any], ...] = ()
    scores: tuple[Score, ...] = ()
    events: tuple[Event, ...] = ()

    @property
    def seconds(self) -> float:
        """Seconds of training."""
        return float(self.ticks[-1].get("seconds", 0.0)) if self.ticks else 0.0

    def column(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """One number of the ticks over kimg, both float64 [N]; NaN where it is missing, and where the run goes back."""
        return _broken_at_returns([(float(tick["kimg"]), _number(tick.get(name))) for tick in self.ticks])

    def score_column(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """One score of the best averaged generator over kimg, both float64 [N], as `column` does."""
        return _broken_at_returns([(score.kimg, _number(score.best.get(name))) for score in self.scores])

    def best_score(self) -> Score | None:
        """The score with the least KID; None where the run was not scored."""
        return min(
            (score for score in self.scores if np.isfinite(_number(score.best.get("kid")))),
            key=lambda score: score.best["kid"],
            default=None,
        )


def read_entries(path: Path) -> list[dict[str, Any]]:
    """The lines of a log that are entries; a line that a kill or an editor has spoilt is left out."""
    if not path.exists():
        return []
    entries = map(_parse, path.read_text(encoding="utf-8", errors="replace").splitlines())
    return [entry for entry in entries if entry is not None]


def read_history(run: Path) -> History:
    """Read the log of the run folder `run`; a run without one has an empty history."""
    entries = read_entries(run / LOG)
    return History(
        ticks=tuple(entry for entry in entries if "images_per_second" in entry),
        scores=tuple(
            Score(kimg=float(entry["kimg"]), by_ema=entry["scores"], best_ema=entry["best_ema"])
            for entry in entries
            if isinstance(entry.get("scores"), dict) and entry.get("best_ema") in entry["scores"]
        ),
        events=tuple(
            Event(kimg=float(entry["kimg"]), message=str(entry["event"])) for entry in entries if "event" in entry
        ),
    )


def _parse(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("kimg"), int | float) else None


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _broken_at_returns(points: list[tuple[float, float]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Put a NaN between two points of which the later lies further left, so that no line joins them."""
    broken: list[tuple[float, float]] = []
    for point in points:
        if broken and point[0] < broken[-1][0]:
            broken.append((point[0], float("nan")))
        broken.append(point)
    both = np.array(broken, dtype=np.float64).reshape(-1, 2)
    return both[:, 0], both[:, 1]
