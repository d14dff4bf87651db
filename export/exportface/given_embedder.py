"""The embedder that a mixer was trained with, opened from the file that a person gives for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from evalface.embedder import Embedder, open_embedder
from evalface.files import sha256_of
from genface.errors import UserError


def open_given(path: Path, facts: Mapping[str, Any]) -> Embedder:
    """Open the file `path` as training did, by the facts of the embedder that its checkpoint holds.

    What a person had to say of it then (its size, its range of values) stands in the facts, and is not asked for again.
    Raises UserError for a file that is none, and for another one than that of the training.
    """
    if path.is_file() and (sha256 := sha256_of(path)) != facts["sha256"]:
        raise UserError(
            f"{path}: is not the embedder that the mixer learned from, {facts['title']} (SHA-256 {sha256[:12]}..., not"
            f" {facts['sha256'][:12]}...)"
        )
    said = {"size": facts["size"]}
    found = open_embedder(path, **said)
    if not _same_values(found, facts):
        found = open_embedder(path, **said, value_range=_range_of(facts))
    if not _same_values(found, facts) or found.dim != facts["dim"] or found.spec.layout != facts["layout"]:
        raise UserError(f"{path}: would be fed otherwise than in training: {found.facts} now, {dict(facts)} then")
    return found


def _same_values(found: Embedder, facts: Mapping[str, Any]) -> bool:
    mine, theirs = ((*one["mean"], *one["std"]) for one in (found.facts, facts))
    return bool(np.allclose(mine, theirs, rtol=1e-9, atol=0.0))


def _range_of(facts: Mapping[str, Any]) -> str:
    """LOW:HIGH, what levels 0 and 255 become; see `evalface.embedder_spec`."""
    mean, std = facts["mean"][0], facts["std"][0]
    return f"{-mean / std!r}:{(255 - mean) / std!r}"
