"""The embeddings of a data set: computed once by the embedder, and kept by content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from genface.errors import UserError
from trainface import atomic
from trainface.data.dataset import FaceSet, default_cache_dir

FORMAT = 1
FOLDER = "embeddings"
_BLOCK = 64


class FaceEmbedder(Protocol):
    """What turns faces into vectors: an `evalface.embedder.Embedder`."""

    @property
    def facts(self) -> dict[str, Any]:
        """Plain values that decide its numbers, its SHA-256 and title among them."""

    def embed(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Faces uint8 [N, H, W, 3] -> vectors float32 [N, D]."""


@dataclass(frozen=True, kw_only=True)
class Embeddings:
    """The vectors of a data set."""

    rows: NDArray[np.float32]
    """float32 [2, N, D]: of the faces as they are, then mirrored."""
    facts: dict[str, Any]
    """The embedder's."""
    key: str
    """SHA-256 over the data and the embedder: equal for equal vectors."""

    @property
    def dim(self) -> int:
        """D."""
        return int(self.rows.shape[2])


def embed_all(
    faces: FaceSet,
    embedder: FaceEmbedder,
    *,
    cache_dir: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Embeddings:
    """Embed every face and its mirror image, or take them from the cache.

    Raises UserError for an embedder that gives what is not finite, or nothing (a vector of zeros).
    """
    record = [FORMAT, faces.key, embedder.facts]
    key = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    path = (cache_dir or default_cache_dir()) / FOLDER / f"{key}.npy"
    rows = _load(path, len(faces))
    if rows is None:
        rows = _compute(faces, embedder, progress)
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(path, lambda file: np.save(file, rows))
    return Embeddings(rows=rows, facts=embedder.facts, key=key)


def _load(path: Path, num: int) -> NDArray[np.float32] | None:
    """The vectors in a file of the cache; None when there is none, or it is damaged and must be computed anew."""
    try:
        rows: NDArray[np.float32] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return rows if rows.ndim == 3 and rows.shape[:2] == (2, num) and rows.dtype == np.float32 else None


def _compute(
    faces: FaceSet, embedder: FaceEmbedder, progress: Callable[[int, int], None] | None
) -> NDArray[np.float32]:
    parts: list[NDArray[np.float32]] = []
    for start in range(0, len(faces), _BLOCK):
        block = np.asarray(faces.images[start : start + _BLOCK])
        mirrored = np.ascontiguousarray(block[:, :, ::-1])
        parts.append(np.stack([embedder.embed(block), embedder.embed(mirrored)]))
        if progress is not None:
            progress(start + len(block), len(faces))
    rows = np.concatenate(parts, axis=1)
    lengths = np.linalg.norm(rows, axis=2)
    bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)).all(axis=0))
    if len(bad):
        raise UserError(
            f"the embedder gives no usable vector for {faces.names[bad[0]]} ({len(bad)} of {len(faces)} faces); is its"
            " --embedder-range right?"
        )
    return rows
