"""The Frechet distance against closed forms, its symmetries, and pytorch-fid's square root of a matrix."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_fid.fid_score import calculate_frechet_distance
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from evalface.frechet import Gaussian, frechet_distance, noise_floor


def features(n: int, d: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)


def whitened(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Rows whose sample mean is 0 and sample covariance the identity, up to rounding."""
    x = np.random.default_rng(seed).normal(size=(n, d))
    q, _ = np.linalg.qr(x - x.mean(axis=0))
    return q * np.sqrt(n - 1)


def test_one_dimension_is_difference_of_means_and_deviations() -> None:
    x, y = features(50, 1, 1), 3 * features(70, 1, 2) + 5
    expected = (x.mean() - y.mean()) ** 2 + (x.std(ddof=1) - y.std(ddof=1)) ** 2
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-12)


def test_diagonal_covariances() -> None:
    s1, s2, shift = np.array([1.0, 2, 3, 0.5]), np.array([2.0, 2, 1, 4]), np.array([1.0, -1, 0, 2])
    x, y = whitened(100, 4, 1) * s1, whitened(60, 4, 2) * s2 + shift
    assert frechet_distance(x, y) == pytest.approx(shift @ shift + ((s1 - s2) ** 2).sum(), rel=1e-10)


@pytest.mark.parametrize(("n", "d"), [(200, 20), (20, 20), (15, 40)])
def test_scaled_covariance(n: int, d: int) -> None:
    x = features(n, d)
    x -= x.mean(axis=0)
    expected = (1 - 2.5) ** 2 * np.trace(np.cov(x.T))
    assert frechet_distance(x, 2.5 * x) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("n", "d"), [(300, 20), (20, 20), (12, 64)])
def test_translation_adds_its_square(n: int, d: int) -> None:
    x, shift = features(n, d), np.linspace(-1, 2, d)
    assert frechet_distance(x, x + shift) == pytest.approx(shift @ shift, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 60), st.integers(2, 60), st.integers(1, 30), st.integers(0, 99))
def test_a_distance(n: int, m: int, d: int, seed: int) -> None:
    """Zero to itself, symmetric, blind to order: with fewer, as many and more pictures than features."""
    x, y = features(n, d, seed), features(m, d, seed + 1)
    size = np.sum(x**2) / n + np.sum(y**2) / m + 1
    assert frechet_distance(x, x) <= 1e-9 * size
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), abs=1e-10 * size)
    mixed = np.random.default_rng(seed).permutation(x)
    assert frechet_distance(mixed, y) == pytest.approx(frechet_distance(x, y), abs=1e-10 * size)


def test_agrees_with_pytorch_fid() -> None:
    x, y = features(300, 32, 1), features(250, 32, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it calls sqrtm(disp=)
        expected = calculate_frechet_distance(x.mean(0), np.cov(x.T), y.mean(0), np.cov(y.T))
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n", [200, 40])
def test_agrees_with_torch_fidelity(n: int) -> None:
    import torch

    x, y = features(n, 64, 1), features(n + 9, 64, 2)
    statistics = [fid_features_to_statistics(torch.from_numpy(z)) for z in (x, y)]
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    # With fewer pictures than features its eigenvalues carry about 1e-6 of noise.
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9 if n > 64 else 1e-5)


def test_factor_is_the_covariance() -> None:
    for n in (10, 100):
        x = features(n, 12)
        factor = Gaussian.of(x).factor
        assert factor.shape == (min(n, 12), 12)
        np.testing.assert_allclose(factor.T @ factor, np.cov(x.T), rtol=1e-10, atol=1e-10)


def test_float32_features_are_taken_in_float64() -> None:
    x = (features(100, 8) + 1e4).astype(np.float32)
    assert frechet_distance(x, x + np.float32(1)) == pytest.approx(8.0, rel=1e-9)


def test_constant_and_repeated_features() -> None:
    x = np.ones((10, 4))
    assert frechet_distance(x, 3 * x) == pytest.approx(16.0)
    y = features(10, 4)
    assert frechet_distance(np.repeat(y, 2, axis=0), np.repeat(y, 2, axis=0)) < 1e-9


def test_noise_floor_falls_like_one_over_n() -> None:
    rng = np.random.default_rng(0)
    floors = {n: noise_floor(rng.normal(size=(n, 16)), seed=0) for n in (400, 1600)}
    # The bias is c / n; a factor of 4 within the noise of one draw.
    assert 2.5 < floors[400] / floors[1600] < 6.5
    assert floors[400] == noise_floor(np.random.default_rng(0).normal(size=(400, 16)), seed=0)


@pytest.mark.parametrize("bad", [np.ones((1, 3)), np.full((4, 3), np.nan), np.ones(5)])
def test_refuses_what_has_no_covariance(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"2 rows|NaN"):
        Gaussian.of(bad)


def test_refuses_different_widths() -> None:
    with pytest.raises(ValueError, match="width"):
        frechet_distance(np.ones((4, 3)), np.ones((4, 2)))
