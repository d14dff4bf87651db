"""Error bars of the Frechet distance and its value at infinity, by simulation against what they claim."""

from __future__ import annotations

import numpy as np
import pytest

from evalface.extrapolation import extrapolate, fast_distance
from evalface.frechet import frechet_distance
from evalface.frechet_error import FrechetEstimate, frechet_estimate
from evalface.intervals import Interval
from genface.errors import UserError


def draw(n: int, d: int, rng: np.random.Generator, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    return scale * rng.normal(size=(n, d)) * np.linspace(1.5, 0.3, d) + shift


@pytest.mark.parametrize(("n", "m", "d"), [(80, 60, 8), (30, 50, 40)])
def test_value_is_the_distance(n: int, m: int, d: int) -> None:
    rng = np.random.default_rng(0)
    x, y = draw(n, d, rng), draw(m, d, rng, 1.2, 0.1)
    assert frechet_estimate(x, y).value == pytest.approx(frechet_distance(x, y), rel=1e-12)
    back = frechet_estimate(y, x)
    assert back.standard_error == pytest.approx(frechet_estimate(x, y).standard_error, rel=1e-9)
    assert frechet_estimate(x, x).value < 1e-9


@pytest.mark.parametrize(("n", "m", "d"), [(150, 120, 4), (60, 50, 5)])
def test_error_is_the_delete_one_jackknife(n: int, m: int, d: int) -> None:
    rng = np.random.default_rng(1)
    x, y = draw(n, d, rng), draw(m, d, rng, 1.4, 0.3)
    by_x = [frechet_distance(np.delete(x, i, axis=0), y) for i in range(n)]
    by_y = [frechet_distance(x, np.delete(y, i, axis=0)) for i in range(m)]
    jackknife = np.sqrt((n - 1) * np.var(by_x) + (m - 1) * np.var(by_y))
    # The infinitesimal form differs from the finite one in terms of 1 / n.
    assert frechet_estimate(x, y).standard_error == pytest.approx(jackknife, rel=4 / min(n, m))


@pytest.mark.parametrize(("n", "d", "scale", "shift"), [(120, 16, 1.2, 0.3), (30, 16, 1.2, 0.3), (20, 24, 1.3, 0.2)])
def test_interval_covers(n: int, d: int, scale: float, shift: float) -> None:
    """The distance expected at this n lies inside as often as promised, with more and with fewer rows than d."""
    rng = np.random.default_rng(2)
    found = [frechet_estimate(draw(n, d, rng), draw(n, d, rng, scale, shift)) for _ in range(200)]
    expected = np.mean([f.value for f in found])
    covered = np.mean([f.interval().low <= expected <= f.interval().high for f in found])
    # 95 % less three binomial deviations of 200 draws.
    assert covered >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 200)
    # A jackknife errs upwards, but not far.
    assert 0.9 < np.mean([f.standard_error for f in found]) / np.std([f.value for f in found]) < 1.45


def test_a_bootstrap_would_be_biased() -> None:
    """Why there is none: pictures drawn twice move the distance up by more than its whole deviation."""
    rng = np.random.default_rng(3)
    x, y = draw(60, 16, rng), draw(60, 16, rng, 1.2, 0.3)
    found = frechet_estimate(x, y)
    again = [frechet_distance(x[rng.integers(0, 60, 60)], y[rng.integers(0, 60, 60)]) for _ in range(40)]
    assert np.mean(again) > found.value + found.standard_error


def test_infinity_is_nearly_unbiased_and_its_error_honest() -> None:
    """Truth by the closed form: d shift^2 + (1 - scale)^2 tr Sigma."""
    rng = np.random.default_rng(4)
    d, scale, shift = 16, 1.15, 0.05
    truth = d * shift**2 + (1 - scale) ** 2 * np.sum(np.linspace(1.5, 0.3, d) ** 2)
    found, plain = [], []
    for seed in range(60):
        x, y = draw(100, d, rng), draw(100, d, rng, scale, shift)
        estimate = frechet_estimate(x, y)
        plain.append(estimate.value)
        found.append(extrapolate(x, y, sampling_error=estimate.standard_error, seed=seed))
    values = np.array([f.value for f in found])
    assert np.mean(plain) > 2 * truth, "what it is for"
    assert np.mean(values) == pytest.approx(truth, abs=4 * values.std() / np.sqrt(60))
    assert 0.8 < np.mean([f.standard_error for f in found]) / values.std() < 1.5
    assert np.mean([f.interval().low <= truth <= f.interval().high for f in found]) >= 0.87
    assert all(f.slope > 0 for f in found)


def test_the_line_is_the_least_squares_one() -> None:
    rng = np.random.default_rng(5)
    x, y = draw(90, 6, rng), draw(70, 6, rng, 1.2)
    found = extrapolate(x, y, sampling_error=0.25, seed=7)
    assert found.sizes == tuple(int(n) for n in np.round(np.linspace(35, 70, 15)))
    # At the full size the smaller set is whole, and the larger drawn down to it.
    (slope, value), covariance = np.polyfit(1 / np.array(found.sizes), found.distances, 1, cov=True)
    assert (found.value, found.slope) == pytest.approx((value, slope), rel=1e-9)
    assert found.fit_error == pytest.approx(np.sqrt(covariance[1, 1]), rel=1e-9)
    assert found.standard_error == pytest.approx(np.hypot(found.fit_error, 0.25), rel=1e-12)
    assert extrapolate(x, y, sampling_error=0.25, seed=7) == found
    assert extrapolate(x, y, sampling_error=0.25, seed=8) != found


@pytest.mark.parametrize(("n", "d"), [(60, 12), (10, 24)])
def test_fast_distance_is_the_distance(n: int, d: int) -> None:
    rng = np.random.default_rng(6)
    x, y = draw(n, d, rng), draw(n + 5, d, rng, 1.3, 0.1)
    assert fast_distance(x, y) == pytest.approx(frechet_distance(x, y), rel=1e-10)
    x[:, 0] = x[:, 1] = 1.0  # no factor by Cholesky
    assert fast_distance(x, y) == pytest.approx(frechet_distance(x, y), rel=1e-10)


def test_intervals() -> None:
    assert Interval.normal(3.0, 1.0).high == pytest.approx(3 + 1.959964, abs=1e-6)
    assert Interval.normal(1.0, 1.0).low == pytest.approx(1 - 1.959964, abs=1e-6)
    assert FrechetEstimate(value=1.0, standard_error=1.0).interval().low == 0.0, "a squared distance"


def test_refuses() -> None:
    with pytest.raises(UserError, match="width"):
        frechet_estimate(np.ones((4, 3)), np.ones((4, 2)))
    with pytest.raises(UserError, match="at least 8"):
        extrapolate(np.ones((7, 3)), np.ones((9, 3)), sampling_error=0.0, seed=0)
