"""From two arrays of features straight to one score of neighbours; `evalface.graph` serves several from one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalface import one_nn, prdc
from evalface.graph import neighbour_graph
from evalface.one_nn import LeaveOneOut
from evalface.prdc import PrecisionRecall
from genface.errors import UserError


def equal_subsample(n_real: int, n_fake: int, seed: int, at_most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sorted indices of equally many pictures of both sides, all of the smaller side unless it exceeds `at_most`."""
    n = min(n_real, n_fake, at_most)
    rng = np.random.default_rng(seed)
    # Always drawn in this order, so that one seed means one choice.
    real, fake = (np.sort(rng.choice(total, n, replace=False)) for total in (n_real, n_fake))
    return real, fake


def leave_one_out(real: NDArray[Any], fake: NDArray[Any]) -> LeaveOneOut:
    """LOO-1NN of features real [n, d] and fake [n, d] (float, or uint8 pixels), n at least 2; see `evalface.one_nn`.

    Raises UserError for sets of different size, and as `neighbour_graph` does.
    """
    if real.shape != fake.shape:
        raise UserError(f"LOO-1NN needs two sets of one size, at least 2 each, not {real.shape} and {fake.shape}")
    return one_nn.leave_one_out(neighbour_graph(real, fake, k=1))


def precision_recall(real: NDArray[Any], fake: NDArray[Any], k: int = 5) -> PrecisionRecall:
    """Precision and recall of features real [n, d] and fake [n, d], n above k; see `evalface.prdc`.

    Raises UserError for sets of different size or of k and fewer, and as `neighbour_graph` does.
    """
    if real.shape != fake.shape or len(real) <= k:
        raise UserError(f"precision and recall need two sets of one size over {k}, not {real.shape} and {fake.shape}")
    return prdc.precision_recall(neighbour_graph(real, fake, k=k))
