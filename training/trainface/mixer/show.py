"""Which held-out faces are looked at, and how a mixer's progress is laid out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evalface.identities import identity_of

PAIRS = 8
COLUMNS = 5
"""A face, itself decoded, the mix of both, the other decoded, the other."""


def pick_pairs(names: Sequence[str], indices: NDArray[np.int64], pairs: int = PAIRS) -> NDArray[np.int64]:
    """Up to `pairs` pairs of faces of different identities, evenly over `indices` (two or more): int64 [P, 2].

    With one identity, its pictures are paired among themselves.
    """
    assert len(indices) >= 2, "a pair has two faces"
    first: dict[str, int] = {}
    for index in indices.tolist():
        first.setdefault(identity_of(names[index]), index)
    faces = np.array(list(first.values()) if len(first) > 1 else indices, dtype=np.int64)
    count = min(pairs, len(faces) // 2)
    chosen: NDArray[np.int64] = faces[np.linspace(0, len(faces) - 1, 2 * count).round().astype(int)]
    return chosen.reshape(count, 2)


def rows(faces: NDArray[np.uint8], decoded: NDArray[np.uint8], mixed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pairs of faces uint8 [P, 2, S, S, 3], their decodings alike, mixes uint8 [P, S, S, 3] -> uint8 [5 P, S, S, 3]."""
    columns = [faces[:, 0], decoded[:, 0], mixed, decoded[:, 1], faces[:, 1]]
    return np.stack(columns, axis=1).reshape(-1, *mixed.shape[1:])
