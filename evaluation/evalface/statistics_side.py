"""A side of which only the statistics are known: enough for a Frechet distance, and for nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from evalface.extractors.base import Extractor
from evalface.gaussian_file import Statistics, read_statistics
from evalface.moments import merged
from genface.errors import UserError
from genface.photos import Preparation

# What must be the same in an extractor for its features to be comparable; runtime and device move last bits alone.
_DECISIVE = ("name", "version", "protocol", "weights_sha256", "precision")


@dataclass(frozen=True, kw_only=True)
class StatisticsSide:
    """Mean and covariance of a set's features, from a file; a context manager, so that it stands where pictures do."""

    path: Path
    statistics: Statistics
    record: Preparation | None
    """How the pictures were prepared, where the file says so."""

    @property
    def n(self) -> int | None:
        """Number of pictures, where the file says so."""
        return self.statistics.n

    def check_extractor(self, extractor: Extractor) -> str | None:
        """The line that a person should read where the file does not name its extractor.

        Raises UserError for statistics of another extractor, or features of another width.
        """
        theirs, ours = self.statistics.extractor, extractor.identity()
        if theirs is None:
            return (
                f"{self.path} does not say what its features are: the distance means something only if they are those"
                f" of {extractor.title} ({extractor.protocol})"
            )
        for key in _DECISIVE:
            if theirs.get(key) != ours.get(key):
                raise UserError(
                    f"{self.path}: statistics of another extractor ({key} {theirs.get(key)!r}, here {ours.get(key)!r}):"
                    " ask for that extractor, or make the statistics again by evalface stats"
                )
        return None

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __str__(self) -> str:
        return str(self.path)


def open_statistics(paths: list[Path]) -> StatisticsSide:
    """One statistics file, or those of the parts of a set, merged exactly (Chan, Golub and LeVeque 1983).

    Raises UserError for a damaged file, for parts without a count (pytorch-fid's), and for parts whose extractor or
    preparation differ.
    """
    sides = [_open_one(path) for path in paths]
    first = sides[0]
    if len(sides) == 1:
        return first
    parts = []
    for side in sides:
        if side.statistics.moments is None:
            raise UserError(f"{side.path}: does not say how many pictures it is of, so it cannot be merged")
        for what in ("extractor", "preparation"):
            if getattr(side.statistics, what) != getattr(first.statistics, what):
                raise UserError(f"{side.path}: another {what} than that of {first.path}; these cannot be merged")
        parts.append(side.statistics.moments)
    whole = merged(parts)
    together = replace(first.statistics, gaussian=whole.gaussian(), moments=whole, n=whole.n, floor=None)
    return replace(first, statistics=together)


def _open_one(path: Path) -> StatisticsSide:
    statistics = read_statistics(path)
    try:
        record = Preparation.from_dict(statistics.preparation) if statistics.preparation else None
    except UserError as error:
        raise UserError(f"{path}: its preparation cannot be used: {error}") from error
    return StatisticsSide(path=path, statistics=statistics, record=record)
