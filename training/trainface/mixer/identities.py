"""Which people a mixer never sees in training, so that it can be judged on strangers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalface.identities import identity_of

RULE = (
    "a file Name_0001.jpg (four digits) shows the identity Name, any other file an identity of its own; an identity is"
    " held out where the first 64 bits of the SHA-256 of its name lie below the share"
)
"""How identities are read from file names and chosen; stored with every checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """A data set parted by identity."""

    train: NDArray[np.int64]
    """Indices of what is trained on."""
    holdout: NDArray[np.int64]
    """Indices of what is not."""
    identities: tuple[str, ...]
    """Names of the identities that are held out, sorted."""


def split_identities(names: Sequence[str], share: float) -> Split:
    """Part pictures by identity, so that none is on both sides; `share` of the identities is held out on average.

    The choice depends on the name alone: pictures that are added later move none of the others.
    """
    identities = [identity_of(name) for name in names]
    chosen = {identity for identity in set(identities) if _fraction(identity) < share}
    held = np.array([identity in chosen for identity in identities], dtype=bool)
    return Split(train=np.flatnonzero(~held), holdout=np.flatnonzero(held), identities=tuple(sorted(chosen)))


def _fraction(identity: str) -> float:
    return int.from_bytes(hashlib.sha256(os.fsencode(identity)).digest()[:8]) / 2.0**64
