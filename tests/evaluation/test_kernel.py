"""KID against an explicit double loop, torch-fidelity, and its own promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric

from evalface import kernel
from evalface.kernel import kernel_distance


def test_is_the_explicit_double_loop() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 5)), rng.normal(size=(15, 5)) + 0.5

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 5 + 1) ** 3)

    xx = np.mean([k(x[i], x[j]) for i in range(20) for j in range(20) if i != j])
    yy = np.mean([k(y[i], y[j]) for i in range(15) for j in range(15) if i != j])
    xy = np.mean([k(a, b) for a in x for b in y])
    assert kernel_distance(x, y).value == pytest.approx(xx + yy - 2 * xy, rel=1e-12)


def test_agrees_with_torch_fidelity_on_its_subsets() -> None:
    """Its number is the mean over its random subsets; on the same subsets, so is ours."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(90, 16)), rng.normal(size=(80, 16)) + 0.1
    theirs = kid_features_to_metric(
        torch.from_numpy(x), torch.from_numpy(y), kid_subsets=7, kid_subset_size=40, rng_seed=2020, verbose=False
    )
    draws = np.random.RandomState(2020)
    ours = [
        kernel_distance(x[draws.choice(90, 40, replace=False)], y[draws.choice(80, 40, replace=False)]).value
        for _ in range(7)
    ]
    assert np.mean(ours) == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-10)
    assert np.std(ours) == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-10)


def test_agrees_with_torch_fidelity_on_one_subset_of_all() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(60, 32)), rng.normal(size=(60, 32)) * 1.2
    theirs = kid_features_to_metric(
        torch.from_numpy(x), torch.from_numpy(y), kid_subsets=1, kid_subset_size=60, rng_seed=0, verbose=False
    )
    assert kernel_distance(x, y).value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-10)


def test_blocks_do_not_change_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(37, 6)), rng.normal(size=(23, 6))
    whole = kernel_distance(x, y)
    for rows in (1, 7, 37):
        monkeypatch.setattr(kernel, "_ROWS", rows)
        assert kernel_distance(x, y).value == pytest.approx(whole.value, abs=1e-12)
        assert kernel_distance(x, y).standard_error == pytest.approx(whole.standard_error, rel=1e-9)
    assert kernel_distance(y, x).value == pytest.approx(whole.value, abs=1e-12)


def test_is_unbiased_for_one_distribution() -> None:
    rng = np.random.default_rng(3)
    values = [kernel_distance(*rng.normal(size=(2, 30, 8))).value for _ in range(200)]
    assert min(values) < 0 < max(values)
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(200)


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.4])
def test_standard_error_is_the_spread_over_draws(shift: float) -> None:
    """Also for equal distributions, where only the second order is left and row means alone would say sqrt(2) of it."""
    rng = np.random.default_rng(4)
    draws = [kernel_distance(rng.normal(size=(150, 16)), rng.normal(size=(120, 16)) + shift) for _ in range(300)]
    spread = np.std([draw.value for draw in draws])
    # 300 draws know a deviation to about 4 %; the variance is not let below that of equal distributions, hence 20.
    assert np.mean([draw.standard_error for draw in draws]) == pytest.approx(spread, rel=0.2)
    mean = np.mean([draw.value for draw in draws])
    covered = np.mean([draw.interval().low <= mean <= draw.interval().high for draw in draws])
    # 95 %, three binomial deviations of 300 draws, and a little for the normal form.
    assert covered >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 300) - 0.01


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e200])
def test_refuses_what_has_no_kernel(bad: float) -> None:
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="NaN"):
        kernel_distance(np.full((4, 3), bad), np.ones((4, 3)))


def test_refuses_too_few() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        kernel_distance(np.ones((1, 3)), np.ones((4, 3)))
