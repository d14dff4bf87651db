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

from genface.errors import UserError

_SYMMETRY = 1e-8
"""How far a covariance may be from symmetric or positive, relative to its largest entry or eigenvalue."""


@dataclass(frozen=True, kw_only=True)
class Gaussian:
    """The mean and covariance of a set of features, the covariance as a factor."""

    mu: NDArray[np.float64]
    """float64 [d]."""
    factor: NDArray[np.float64]
    """float64 [r, d], r at most d; `factor.T @ factor` is the covariance with n - 1 in the denominator."""

    @classmethod
    def of(cls, features: NDArray[Any]) -> Self:
        """Fit to features [n, d], n at least 2, in float64. Raises UserError for fewer or for NaN and infinity."""
        x, mu = centred(features)
        x /= np.sqrt(len(x) - 1)
        if len(x) > x.shape[1]:
            (x,) = linalg.qr(x, mode="r", overwrite_a=True, check_finite=False)
            x = x[: x.shape[1]]
        return cls(mu=mu, factor=x)

    @classmethod
    def from_moments(cls, mu: NDArray[Any], sigma: NDArray[Any], *, error: float = 0.0) -> Self:
        """From a mean [d] and a covariance [d, d], as statistics files hold them.

        Eigenvalues below the covariance's own rounding error count as 0; to a set of fewer pictures than features a
        distance is therefore good to about 1e-6 of the traces, not to the last digits as from features. `error` is a
        bound of that error's spectral norm where sigma was kept in less than float64. Raises UserError for other
        shapes, NaN and infinity, and for what is no covariance.
        """
        mu, sigma = np.asarray(mu, np.float64), np.asarray(sigma, np.float64)
        if mu.ndim != 1 or sigma.shape != (len(mu), len(mu)) or len(mu) == 0:
            raise UserError(f"a mean [d] and a covariance [d, d] are needed, not {mu.shape} and {sigma.shape}")
        if not (np.isfinite(mu).all() and np.isfinite(sigma).all()):
            raise UserError("the mean or the covariance holds NaN or infinity")
        if np.abs(sigma - sigma.T).max() > _SYMMETRY * np.abs(sigma).max():
            raise UserError("the covariance is not symmetric")
        values, vectors = linalg.eigh((sigma + sigma.T) / 2, check_finite=False)
        largest = max(float(values[-1]), 0.0)
        if values[0] < -max(error, _SYMMETRY * max(largest, float(np.abs(values[0])))):
            raise UserError(f"not a covariance: it has the negative eigenvalue {values[0]:.3g} beside {largest:.3g}")
        keep = values > max(error, len(mu) * np.finfo(np.float64).eps * largest)
        keep[-1] = True  # a factor has at least one row
        values[-1] = largest
        return cls(mu=mu, factor=np.sqrt(values[keep])[:, None] * vectors[:, keep].T)

    def sigma(self) -> NDArray[np.float64]:
        """The covariance, float64 [d, d]."""
        product: NDArray[np.float64] = self.factor.T @ self.factor
        return product

    def distance_to(self, other: Gaussian) -> float:
        """Squared Frechet distance, at least 0. Raises UserError for features of another width."""
        if self.mu.shape != other.mu.shape:
            raise UserError(f"features of different width: {len(self.mu)} and {len(other.mu)}")
        cross = linalg.svdvals(self.factor @ other.factor.T, overwrite_a=True, check_finite=False).sum()
        return squared_distance(self, other, float(cross))


def squared_distance(one: Gaussian, other: Gaussian, cross: float) -> float:
    """The squared distance, given the nuclear norm `cross` of the product of the factors."""
    difference = one.mu - other.mu
    squared = difference @ difference + np.sum(one.factor**2) + np.sum(other.factor**2) - 2 * cross
    # Equal sets end at about -1e-13 by rounding; a squared distance is not negative.
    return max(0.0, float(squared))


def centred(features: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features [n, d] in float64 about their mean, and the mean [d].

    Raises UserError for n below 2, for NaN and infinity.
    """
    if features.ndim != 2 or len(features) < 2:
        raise UserError(f"a covariance needs at least 2 rows of features, not shape {features.shape}")
    if not np.isfinite(features).all():
        raise UserError("features hold NaN or infinity; the extractor is at fault")
    x = features.astype(np.float64)
    mu = x.mean(axis=0)
    x -= mu
    return x, mu


def frechet_distance(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Squared Frechet distance of features x [n, d] and y [m, d], n and m at least 2, in float64."""
    if x.shape[1:] != y.shape[1:]:
        raise UserError(f"features of different width: {x.shape} and {y.shape}")
    return Gaussian.of(x).distance_to(Gaussian.of(y))


@dataclass(frozen=True, kw_only=True)
class NoiseFloor:
    """What a perfect generator would score: real pictures against other real pictures."""

    value: float
    n: int
    """Pictures on each side of it. The floor falls about like 1 / n."""
    wanted: int
    """Pictures that the score itself had; `n` is smaller where the reals are fewer than twice as many."""


def noise_floor_at(real: NDArray[Any], n: int, seed: int) -> NoiseFloor:
    """Frechet distance between two disjoint random parts of real [m, d], n pictures each, or m // 2 where that is less.

    The distance is biased upwards by about c / n (Chong and Forsyth 2020), so a floor speaks for its own n only. Raises
    UserError for fewer than 4 reals.
    """
    part = min(n, len(real) // 2)
    if part < 2:
        raise UserError(f"a noise floor needs at least 4 real pictures and 2 fake ones, not {len(real)} and {n}")
    order = np.random.default_rng(seed).permutation(len(real))
    return NoiseFloor(value=frechet_distance(real[order[:part]], real[order[part : 2 * part]]), n=part, wanted=n)


def noise_floor(features: NDArray[Any], seed: int) -> float:
    """Frechet distance between two disjoint random halves of one set [n, d], n // 2 pictures each, n at least 4."""
    return noise_floor_at(features, len(features) // 2, seed).value
