"""Mean and scatter of features that merge exactly: over blocks, shards, machines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from evalface.frechet import Gaussian, centred
from genface.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Count, mean and centred second moment of a set of features."""

    n: int
    mean: NDArray[np.float64]
    """float64 [d]."""
    scatter: NDArray[np.float64]
    """float64 [d, d], the sum of (x - mean)(x - mean)^T."""

    @classmethod
    def of(cls, features: NDArray[Any]) -> Self:
        """Of features [n, d], n at least 1. Raises UserError for fewer, for NaN and infinity."""
        if features.ndim == 2 and len(features) == 1 and np.isfinite(features).all():
            d = features.shape[1]
            return cls(n=1, mean=features[0].astype(np.float64), scatter=np.zeros((d, d)))
        x, mean = centred(features)
        return cls(n=len(x), mean=mean, scatter=x.T @ x)

    def merged(self, other: Moments) -> Moments:
        """Of both sets together (Chan, Golub and LeVeque 1983, equation 2.1). Raises UserError for another width."""
        if self.mean.shape != other.mean.shape:
            raise UserError(f"features of different width: {len(self.mean)} and {len(other.mean)}")
        n = self.n + other.n
        step = other.mean - self.mean
        return Moments(
            n=n,
            mean=self.mean + step * (other.n / n),
            scatter=self.scatter + other.scatter + np.outer(step, step) * (self.n * other.n / n),
        )

    def sigma(self) -> NDArray[np.float64]:
        """Covariance [d, d] with n - 1 in the denominator. Raises UserError for a single row."""
        if self.n < 2:
            raise UserError("a covariance needs at least 2 rows of features, not 1")
        return self.scatter / (self.n - 1)

    def gaussian(self) -> Gaussian:
        """For distances. Raises UserError for a single row."""
        return Gaussian.from_moments(self.mean, self.sigma())


def merged(parts: Iterable[Moments]) -> Moments:
    """Of all parts together, at least one."""
    return reduce(Moments.merged, parts)
