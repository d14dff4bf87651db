"""walks.png: smooth paths between latents. A generator that has learned its faces by heart jumps; a good one morphs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genface import walk
from genface.latents import latents
from genface.walk import slerp

__all__ = ["WALK_SEED", "slerp", "walk_latents"]

WALK_SEED = 1
"""Other latents than those of the grids."""


def walk_latents(rows: int, steps: int, z_dim: int, seed: int = WALK_SEED) -> NDArray[np.float32]:
    """`rows` walks of `steps` points, each between two latents of its own; float32 [rows * steps, z_dim], by rows."""
    ends = latents(seed, range(2 * rows), z_dim).reshape(rows, 2, z_dim)
    return walk.walk_latents(ends, steps).reshape(rows * steps, z_dim)
