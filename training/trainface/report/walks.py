"""walks.png: smooth paths between latents. A generator that has learned its faces by heart jumps; a good one morphs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genface.latents import latents

WALK_SEED = 1
"""Other latents than those of the grids."""


def slerp(start: NDArray[np.float32], end: NDArray[np.float32], t: NDArray[np.float32]) -> NDArray[np.float32]:
    """Points on the great circle from `start` to `end`, their lengths interpolated linearly (Shoemake 1985).

    start, end: float32 [z_dim], not zero; t: float32 [N] in [0, 1]. Returns float32 [N, z_dim]. A straight line would
    pass near the origin, where a Gaussian in many dimensions has no mass. Opposite vectors have no one great circle:
    they, and all but equal ones, are joined by a straight line.
    """
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    a, b = start.astype(np.float64) / lengths[0], end.astype(np.float64) / lengths[1]
    angle = np.arccos(np.clip(a @ b, -1.0, 1.0))
    s = t.astype(np.float64)[:, None]
    if np.sin(angle) < 1e-6:
        direction = (1 - s) * a + s * b
    else:
        direction = (np.sin((1 - s) * angle) * a + np.sin(s * angle) * b) / np.sin(angle)
    return (((1 - s) * lengths[0] + s * lengths[1]) * direction).astype(np.float32)


def walk_latents(rows: int, steps: int, z_dim: int, seed: int = WALK_SEED) -> NDArray[np.float32]:
    """`rows` walks of `steps` points, each between two latents of its own; float32 [rows * steps, z_dim], by rows."""
    ends = latents(seed, range(2 * rows), z_dim)
    t = np.linspace(0.0, 1.0, steps, dtype=np.float32)
    return np.concatenate([slerp(ends[2 * row], ends[2 * row + 1], t) for row in range(rows)])
