"""The Frechet distance between two sets of features, without a matrix square root.

For Gaussians (mu1, Sigma1) and (mu2, Sigma2) (Dowson and Landau 1982; Heusel et al. 2017, equation 6):

    d^2 = |mu1 - mu2|^2 + tr Sigma1 + tr Sigma2 - 2 tr (Sigma1 Sigma2)^(1/2)

With Sigma1 = A^T A and Sigma2 = B^T B the last trace is the nuclear norm of A B^T, the sum of its singular values. That
form is exact for any rank: no imaginary part, no epsilon on the diagonal, and no need of more pictures than features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import linalg


@dataclass(frozen=True, kw_only=True)
class Gaussian:
    """The mean and covariance of a set of features, the covariance as a factor."""

    mu: NDArray[np.float64]
    """float64 [d]."""
    factor: NDArray[np.float64]
    """float64 [min(n, d), d]; `factor.T @ factor` is the covariance with n - 1 in the denominator."""

    @classmethod
    def of(cls, features: NDArray[Any]) -> Self:
        """Fit to features [n, d], n at least 2, in float64. Raises ValueError for fewer or for NaN and infinity."""
        if features.ndim != 2 or len(features) < 2:
            raise ValueError(f"a covariance needs at least 2 rows of features, not shape {features.shape}")
        x = features.astype(np.float64)
        if not np.isfinite(x).all():
            raise ValueError("features hold NaN or infinity")
        mu = x.mean(axis=0)
        x -= mu
        x /= np.sqrt(len(x) - 1)
        if len(x) > x.shape[1]:
            (x,) = linalg.qr(x, mode="r", overwrite_a=True, check_finite=False)
            x = x[: x.shape[1]]
        return cls(mu=mu, factor=x)

    def distance_to(self, other: Gaussian) -> float:
        """Squared Frechet distance, at least 0."""
        difference = self.mu - other.mu
        cross = linalg.svdvals(self.factor @ other.factor.T, overwrite_a=True, check_finite=False).sum()
        squared = difference @ difference + np.sum(self.factor**2) + np.sum(other.factor**2) - 2 * cross
        # Equal sets end at about -1e-13 by rounding; a squared distance is not negative.
        return max(0.0, float(squared))


def frechet_distance(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Squared Frechet distance of features x [n, d] and y [m, d], n and m at least 2, in float64."""
    if x.shape[1:] != y.shape[1:]:
        raise ValueError(f"features of different width: {x.shape} and {y.shape}")
    return Gaussian.of(x).distance_to(Gaussian.of(y))


def noise_floor(features: NDArray[Any], seed: int) -> float:
    """Frechet distance between two disjoint random halves of one set [n, d], n // 2 pictures each, n at least 4.

    What a perfect generator would score at that count: the distance is biased upwards by about c / n (Chong and
    Forsyth 2020).
    """
    half = len(features) // 2
    order = np.random.default_rng(seed).permutation(len(features))
    return frechet_distance(features[order[:half]], features[order[half : 2 * half]])
