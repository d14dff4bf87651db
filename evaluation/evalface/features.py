"""Features of one side: from the cache where the same picture met the same extractor before, computed otherwise."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL
import torch
from numpy.typing import NDArray

from evalface.cache_upkeep import limit_bytes, trim
from evalface.extractors.base import Extractor
from evalface.feature_cache import BLOCK, Block, Book
from evalface.images import Side, blocks
from evalface.looks import UNREADABLE
from genface.errors import BrokenImageError
from genface.photos import DECODING_VERSION, OnBroken, is_faceless, settle_broken
from genface.progress import Progress

_CACHE_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class SideFeatures:
    """All features of one side, row i of each array from the picture `names[i]`."""

    names: list[str]
    indices: NDArray[np.int64]
    """Of the same pictures in their side: `side.faces([indices[i]])` gives the face of row i."""
    values: dict[str, NDArray[Any]]
    """By extractor name: [N, d]."""
    broken: list[str]
    """Lines that tell which pictures were left out."""
    from_cache: bool
    """Nothing had to be computed that is worth caching."""


def side_features(
    side: Side, extractors: Sequence[Extractor], on_broken: OnBroken, label: str, show_progress: bool
) -> SideFeatures:
    """Features of all pictures of `side` by every extractor, cached picture by picture unless the extractor is cheap.

    What the cache lacks is computed in one pass over the pictures, and kept block by block: a run that is killed is
    taken up by the next one. Raises UserError by the policy for broken pictures, and for a cache limit that is none.
    """
    limit = limit_bytes()
    total = len(side.source)
    places = _places(side)
    tables = [_Table(side, extractor, places) for extractor in extractors]
    broken: dict[int, BrokenImageError] = {}
    for table in tables:
        table.take_cached(broken)
    known = set(broken)
    cached = sum(not any(table.lacks(i) for table in tables if table.extractor.cached) for i in range(total))
    wanted = [
        copies[0]
        for copies in places.values()
        if copies[0] not in broken and any(table.lacks(copies[0]) for table in tables)
    ]
    if wanted:
        with _progress(f"{label} pictures", total, total - len(wanted), cached, show_progress) as told:
            try:
                for indices, faces in blocks(side, wanted, broken, stop_at_broken=on_broken == "fail"):
                    for table in tables:
                        table.add(indices, faces)
                    told(len(indices))
            finally:
                # Of pictures without features only those without a face are kept: looking for one is work, and what
                # else is wrong may pass, as a full memory does.
                new = {i: error for i, error in broken.items() if i not in known and is_faceless(error)}
                for table in tables:
                    table.flush(new)
                trim(limit)
    for copies in places.values():
        if copies[0] in broken:
            broken |= {i: BrokenImageError(side.source.names[i], broken[copies[0]].reason) for i in copies[1:]}
    said = settle_broken([broken[index] for index in sorted(broken)], on_broken, total, side.source)
    whole = np.array([index for index in range(total) if index not in broken])
    return SideFeatures(
        names=[side.source.names[index] for index in whole],
        indices=whole,
        values={table.extractor.name: table.rows(whole) for table in tables},
        broken=said,
        from_cache=not any(table.computed for table in tables if table.extractor.cached),
    )


def _places(side: Side) -> dict[str, list[int]]:
    """Where each different picture stands, by its digest; files that cannot be read are not taken for copies."""
    places: dict[str, list[int]] = {}
    for index, digest in enumerate(side.survey.digests):
        places.setdefault(digest if digest != UNREADABLE else f"{UNREADABLE} {index}", []).append(index)
    return places


def book_of(side: Side, extractor: Extractor) -> Book:
    """The book for everything but the picture that can change a feature: preparation, extractor, decoder, libraries."""
    return Book(
        {
            "cache": _CACHE_VERSION,
            "preparation": side.preparation.to_dict() if side.preparation else None,
            "size": side.size,
            "extractor": extractor.identity(),
            "decoding": DECODING_VERSION,
            "pillow": PIL.__version__,
            "torch": torch.__version__,
        }
    )


class _Table:
    """The rows of one extractor as they come together, from the cache and from blocks of faces."""

    def __init__(self, side: Side, extractor: Extractor, places: dict[str, list[int]]) -> None:
        self.extractor = extractor
        self.computed = 0
        """Rows that did not come from the cache."""
        self._names, self._digests, self._places = side.source.names, side.survey.digests, places
        self._book = book_of(side, extractor) if extractor.cached else None
        self._values: NDArray[Any] | None = None
        self._there = np.zeros(len(self._digests), dtype=bool)
        self._unkept: list[int] = []

    def take_cached(self, broken: dict[int, BrokenImageError]) -> None:
        """Fill in what the cache has; pictures that it knows to have no features go into `broken`."""
        if self._book is None:
            return
        for block in self._book.read(self._places.keys() & set(self._digests)):
            for digest, row in zip(block.digests, block.values, strict=True):
                self._place(digest, row)
            for digest, reason in block.broken.items():
                for index in self._places.get(digest, []):
                    broken[index] = BrokenImageError(self._names[index], reason)

    def lacks(self, index: int) -> bool:
        """Whether the picture's row is still to come."""
        return not self._there[index]

    def add(self, indices: Sequence[int], faces: NDArray[np.uint8]) -> None:
        """Compute those rows of uint8 [N, size, size, 3], the pictures `indices`, that are still to come."""
        lacking = [place for place, index in enumerate(indices) if self.lacks(index)]
        if not lacking:
            return
        rows = self.extractor.features(faces if len(lacking) == len(indices) else faces[lacking])
        for place, row in zip(lacking, rows, strict=True):
            self._place(self._digests[indices[place]], row)
        self.computed += len(lacking)
        self._unkept += [indices[place] for place in lacking]
        while len(self._unkept) >= BLOCK:
            self._keep(self._unkept[:BLOCK], {})
            del self._unkept[:BLOCK]

    def flush(self, broken: dict[int, BrokenImageError]) -> None:
        """Keep the rest, and which pictures have no features."""
        self._keep(self._unkept, {self._digests[index]: error.reason for index, error in broken.items()})
        self._unkept = []

    def rows(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """The rows of these pictures, all of which are there: [N, d]."""
        assert self._values is not None
        assert self._there[indices].all()
        return self._values if len(indices) == len(self._values) else self._values[indices]

    def _place(self, digest: str, row: NDArray[Any]) -> None:
        places = self._places.get(digest)
        if places is None:
            return
        if self._values is None:
            self._values = np.empty((len(self._digests), len(row)), self.extractor.dtype)
        self._values[places] = row
        self._there[places] = True

    def _keep(self, indices: Sequence[int], broken: dict[str, str]) -> None:
        if self._book is None or not (indices or broken):
            return
        values = self._values[indices] if self._values is not None else np.empty((0, 0), self.extractor.dtype)
        self._book.write(Block(digests=[self._digests[index] for index in indices], values=values, broken=broken))


@contextlib.contextmanager
def _progress(what: str, total: int, done: int, cached: int, show: bool) -> Iterator[Callable[[int], None]]:
    """Take the number of pictures that were just read, and tell their sum on stderr if `show`."""
    if not show:
        yield lambda count: None
        return
    print(f"features of {total:,} {what}{f', {cached:,} of them cached' if cached else ''}", file=sys.stderr)
    progress = Progress(total)
    progress.start_at(done)

    def tell(count: int) -> None:
        nonlocal done
        done += count
        progress(done)

    try:
        yield tell
    finally:
        progress.finish()
