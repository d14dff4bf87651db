"""Mixing codes: the three rules by which the codes of several faces become one, and the weights that go into them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from genface.errors import UserError

Mixing = Literal["linear", "sphere", "latent"]
"""`linear`: the weighted mean, for codes of an autoencoder. `sphere`: the weighted mean of directions, made a unit
vector again, for embeddings, which are compared by their angle. `latent`: that direction at the weighted mean of the
lengths, for Gaussian latents, whose mean would lie in the empty inside of their sphere (White 2016)."""

Codes = NDArray[np.float32]
Weights = NDArray[np.float64]

# 0.33,0.33,0.33 is meant as thirds, and a sum of 2 is a mistake.
_SUM_SLACK = 0.02
# Of the mean of unit vectors: below this nothing but rounding gives it its direction.
_MIN_LENGTH = 1e-5


def checked_weights(weights: Sequence[float] | None, count: int, what: str = "photos") -> Weights:
    """Weights of `count` parents, float64 [count], that sum to 1 exactly as far as floats do; equal ones for None.

    Raises UserError for another number of them, for one that is negative or not finite, and for a sum that is not 1,
    where 0.02 are left for rounding.
    """
    if weights is None:
        return np.full(count, 1 / count)
    shown = ",".join(f"{weight:g}" for weight in weights)
    if len(weights) != count:
        raise UserError(f"{len(weights)} weights ({shown}) for {count} {what}: give one for each")
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights):
        raise UserError(f"weights must be finite and not negative, not {shown}")
    total = sum(weights)
    if abs(total - 1) > _SUM_SLACK:
        raise UserError(f"weights must sum to 1, and {shown} sum to {total:g}")
    return np.array(weights, dtype=np.float64) / total


def strip_weights(steps: int) -> Weights:
    """Weights of two parents for even steps from one to the other, both included: float64 [steps, 2].

    Raises UserError for fewer than two steps.
    """
    if steps < 2:
        raise UserError(f"a strip has at least 2 steps, its ends, not {steps}")
    share = np.arange(steps) / (steps - 1)
    return np.stack([1 - share, share], axis=1)


def mix(codes: Codes, weights: Weights, mixing: Mixing) -> Codes:
    """Mix codes float32 [P, D] by each row of weights [N, P], which sum to 1: float32 [N, D].

    Raises UserError where directions cancel each other, so that none is left, or where all of them are missing (a code
    of zeros).
    """
    rows = codes.astype(np.float64)
    if mixing == "linear":
        return (weights @ rows).astype(np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)  # [P, 1]
    directions = weights @ np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    left = np.linalg.norm(directions, axis=1, keepdims=True)  # [N, 1]
    if left.size and left.min() < _MIN_LENGTH:
        raise UserError("the codes of these faces cancel each other, so that none is between them: take other weights")
    mixed: NDArray[np.float64] = directions / left
    if mixing == "latent":
        mixed *= weights @ lengths
    return mixed.astype(np.float32)
