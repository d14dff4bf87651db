"""Features of one side: read from the cache where the same bytes met the same extractor before, computed otherwise."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from numpy.typing import NDArray

from evalface.extractors.base import Extractor
from evalface.files import cache_folder, write_whole, written_whole
from evalface.images import Side, blocks
from genface.errors import BrokenImageError
from genface.photos import DECODING_VERSION, OnBroken, settle_broken
from genface.progress import Progress

_CACHE_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class SideFeatures:
    """All features of one side, row i of each array from the picture `names[i]`."""

    names: list[str]
    values: dict[str, NDArray[Any]]
    """By extractor name: [N, d]."""
    broken: list[str]
    """Lines that tell which pictures were left out."""
    from_cache: bool
    """Nothing had to be computed that is worth caching."""


def cache_key(side: Side, extractor: Extractor) -> str:
    """SHA-256 over everything that can change a feature: file contents, preparation, extractor, decoder, torch."""
    facts = {
        "cache": _CACHE_VERSION,
        "contents": side.survey.sha256,
        "preparation": side.preparation.to_dict() if side.preparation else None,
        "size": side.size,
        "extractor": extractor.identity(),
        "decoding": DECODING_VERSION,
        "pillow": PIL.__version__,
        "torch": torch.__version__,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def side_features(
    side: Side, extractors: Sequence[Extractor], on_broken: OnBroken, label: str, show_progress: bool
) -> SideFeatures:
    """Features of all pictures of `side` by every extractor, each cached under its own key if it is `cached` at all.

    What the cache lacks is computed in one pass over the pictures. Raises UserError by the policy for broken pictures.
    """
    total = len(side.source)
    found = {e.name: _load(cache_key(side, e), total) for e in extractors if e.cached}
    entries = {name: entry for name, entry in found.items() if entry is not None}
    missing = [extractor for extractor in extractors if extractor.name not in entries]
    if missing:
        entries |= _compute(side, missing, on_broken, label, show_progress)
    first = next(iter(entries.values()))
    broken = [BrokenImageError(side.source.names[index], reason) for index, reason in first.broken.items()]
    return SideFeatures(
        names=[name for index, name in enumerate(side.source.names) if index not in first.broken],
        values={extractor.name: entries[extractor.name].values for extractor in extractors},
        broken=settle_broken(broken, on_broken, total, side.source),
        from_cache=not any(extractor.cached for extractor in missing),
    )


@dataclass(frozen=True)
class _Entry:
    values: NDArray[Any]
    broken: dict[int, str]
    """Place in the source and reason."""


def _compute(
    side: Side, extractors: Sequence[Extractor], on_broken: OnBroken, label: str, show_progress: bool
) -> dict[str, _Entry]:
    total = len(side.source)
    arrays: dict[str, NDArray[Any]] = {}
    broken: dict[int, BrokenImageError] = {}
    done = 0
    with _progress(label, total, show_progress) as told:
        for block in blocks(side, broken, stop_at_broken=on_broken == "fail"):
            count = len(block)
            for extractor in extractors:
                rows = extractor.features(block)
                if extractor.name not in arrays:
                    arrays[extractor.name] = np.empty((total, rows.shape[1]), extractor.dtype)
                arrays[extractor.name][done : done + count] = rows
            done += count
            told(done)
    settle_broken(list(broken.values()), on_broken, total, side.source)
    reasons = {index: error.reason for index, error in broken.items()}
    entries = {extractor.name: _Entry(arrays[extractor.name][:done], reasons) for extractor in extractors}
    for extractor in (e for e in extractors if e.cached):
        _store(cache_key(side, extractor), entries[extractor.name])
    return entries


@contextlib.contextmanager
def _progress(label: str, total: int, show: bool) -> Iterator[Callable[[int], None]]:
    """Take the number of pictures done so far, and tell it on stderr if `show`."""
    if not show:
        yield lambda done: None
        return
    print(f"features of {total:,} {label} pictures", file=sys.stderr)
    progress = Progress(total)
    try:
        yield progress
    finally:
        progress.finish()


def _paths(key: str) -> tuple[Path, Path]:
    folder = cache_folder() / "features"
    return folder / f"{key}.npy", folder / f"{key}.json"


def _store(key: str, entry: _Entry) -> None:
    """Array first, then its description: an entry exists once both do. A cache that cannot be written is no error."""
    array, description = _paths(key)
    with contextlib.suppress(OSError):
        with written_whole(array) as file:
            np.save(file, entry.values, allow_pickle=False)
        facts = {
            "shape": entry.values.shape,
            "dtype": entry.values.dtype.name,
            "sha256": _array_sha256(entry.values),
            "broken": entry.broken,
        }
        write_whole(description, json.dumps(facts, indent=1))


def _load(key: str, total: int) -> _Entry | None:
    """The entry of `key`, or None where there is none or where it is damaged in any way."""
    array, description = _paths(key)
    try:
        facts = json.loads(description.read_text())
        with array.open("rb") as file:
            # Not np.load, which takes whatever begins like a .zip for one.
            values = np.lib.format.read_array(file, allow_pickle=False)
        broken = {int(index): str(reason) for index, reason in facts["broken"].items()}
        whole = _array_sha256(values) == facts["sha256"] and len(values) == total - len(broken)
        return _Entry(values, broken) if whole else None
    except Exception:  # json and numpy raise whatever the damage leads to, up to MemoryError for an absurd shape
        return None


def _array_sha256(values: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()
