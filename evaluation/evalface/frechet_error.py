"""How far the Frechet distance would move with other pictures: the infinitesimal jackknife.

A bootstrap draws pictures twice, which lowers the rank of the covariances and moves the distance up. The infinitesimal
jackknife (Jaeckel 1972; Efron 1982, The Jackknife, the Bootstrap and Other Resampling Plans, chapter 6) draws nothing:
it differentiates the distance by the weight of each picture. The variance of these influences over the number of
pictures is the variance of the distance to first order; here it is the delta method of Rippl, Munk and Sturm 2016
(Limit laws of the empirical Wasserstein distance: Gaussian distributions). One singular value decomposition with
vectors gives value and error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from evalface.frechet import Gaussian, centred, squared_distance
from evalface.intervals import Interval
from genface.errors import UserError


@dataclass(frozen=True, kw_only=True)
class FrechetEstimate:
    """The distance of two samples, and its spread over samples of these sizes."""

    value: float
    standard_error: float
    """Like every jackknife's rather too large than too small (Efron and Stein 1981), most where both sets are equal in
    distribution."""

    def interval(self) -> Interval:
        """Around the distance expected at these numbers of pictures, which is biased upwards.

        No interval for the distance at N = infinity: see `evalface.extrapolation`.
        """
        return Interval.normal(self.value, self.standard_error, at_least=0.0)


def frechet_estimate(x: NDArray[Any], y: NDArray[Any]) -> FrechetEstimate:
    """Frechet distance of features x [n, d] and y [m, d], n and m at least 2, with its standard error.

    Raises UserError as `frechet_distance` does.
    """
    if x.shape[1:] != y.shape[1:]:
        raise UserError(f"features of different width: {x.shape} and {y.shape}")
    one, other = _Factored.of(x), _Factored.of(y)
    left, singular, right = linalg.svd(
        one.gaussian.factor @ other.gaussian.factor.T, full_matrices=False, overwrite_a=True, check_finite=False
    )
    rotation: NDArray[np.float64] = left @ right
    difference = one.gaussian.mu - other.gaussian.mu
    variance = sum(
        _influences(side, towards, turn, shift).var(ddof=1) / len(side.centred)
        for side, towards, turn, shift in (
            (one, other.gaussian, rotation, difference),
            (other, one.gaussian, rotation.T, -difference),
        )
    )
    return FrechetEstimate(
        value=squared_distance(one.gaussian, other.gaussian, float(singular.sum())),
        standard_error=float(np.sqrt(variance)),
    )


@dataclass(frozen=True)
class _Factored:
    """Centred features = sqrt(n - 1) * basis @ factor."""

    centred: NDArray[np.float64]
    basis: NDArray[np.float64] | None
    """[n, d] with orthonormal columns; None stands for the identity, where n is at most d."""
    gaussian: Gaussian

    @classmethod
    def of(cls, features: NDArray[Any]) -> _Factored:
        x, mu = centred(features)
        scale = np.sqrt(len(x) - 1)
        if len(x) <= x.shape[1]:
            return cls(x, None, Gaussian(mu=mu, factor=x / scale))
        basis, factor = linalg.qr(x, mode="economic", check_finite=False)
        return cls(x, basis, Gaussian(mu=mu, factor=factor / scale))


def _influences(
    side: _Factored, other: Gaussian, rotation: NDArray[np.float64], difference: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Derivative of the squared distance by the weight of each picture of `side`, up to a constant; [n].

    d |mu - mu'|^2 gives 2 x.(mu - mu'), d tr Sigma gives |x|^2, x about the mean. With A B^T = U S V^T the nuclear norm
    has the derivative <U V^T B, dA> in A (Watson 1992), hence the derivative <G, dSigma> with A G = U V^T B / 2; and A
    applied to the sample is sqrt(n - 1) times the transposed basis. So -2 x^T G x = -sqrt(n - 1) q.(U V^T B x).
    """
    turned = (side.centred @ other.factor.T) @ rotation.T
    cross = np.diagonal(turned) if side.basis is None else np.einsum("ij,ij->i", side.basis, turned)
    squares = np.einsum("ij,ij->i", side.centred, side.centred)
    influences: NDArray[np.float64] = 2 * side.centred @ difference + squares - np.sqrt(len(squares) - 1) * cross
    return influences
