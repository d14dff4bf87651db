"""The numbers of a tick: known cases, and what they must be blind to."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from trainface.watch.measures import coarse, diversity, gradient_norm, out_of_range, overfit_gap


def logits(mean: float, n: int = 4000, seed: int = 0) -> torch.Tensor:
    return mean + torch.randn(n, 1, generator=torch.Generator().manual_seed(seed))


def test_gap_between_blind_and_memorising() -> None:
    train, fake = logits(2.0, seed=1), logits(-1.0, seed=2)
    # Three standard errors of a difference of two means of 4,000, over a separation of 3: 0.02.
    assert float(overfit_gap(train, logits(2.0, seed=3), fake)) == pytest.approx(0.0, abs=0.03)
    assert float(overfit_gap(train, logits(-1.0, seed=3), fake)) == pytest.approx(1.0, abs=0.03)
    assert float(overfit_gap(train, logits(0.5, seed=3), fake)) == pytest.approx(0.5, abs=0.03)


@settings(max_examples=30, deadline=None)
@given(shift=st.floats(-100, 100), scale=st.floats(0.01, 100))
def test_gap_is_free_of_level_and_scale(shift: float, scale: float) -> None:
    groups = [logits(mean, 200, seed) for seed, mean in enumerate((1.5, 1.0, -1.0))]
    moved = [group.double() * scale + shift for group in groups]
    # A shift of 100 costs float32 about five digits of logits scaled by 0.01.
    assert float(overfit_gap(*moved)) == pytest.approx(float(overfit_gap(*groups)), abs=0.02)


def test_gap_stays_bounded_where_d_tells_nothing() -> None:
    same = logits(0.0)
    assert float(overfit_gap(same, logits(0.0, seed=5), same)) == pytest.approx(0.0, abs=0.7)
    lost = overfit_gap(logits(-1.0, seed=1), logits(-1.0, seed=2), logits(1.0, seed=3))
    assert abs(float(lost)) < 0.7, "signs the wrong way round are not read as a gap"
    constant = torch.full((10, 1), 3.0)
    assert float(overfit_gap(constant, constant, constant)) == 0.0


def faces(n: int, spread: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n, 4, 4, 3)).repeat(4, axis=1).repeat(4, axis=2)
    return np.clip(128 + spread * noise, 0, 255).astype(np.uint8)


def test_diversity_is_the_ratio_of_spreads() -> None:
    reals = faces(200, 30.0)
    assert diversity(reals, reals) == 1.0
    assert diversity(faces(200, 30.0, seed=1), reals) == pytest.approx(1.0, abs=0.05)
    assert diversity(faces(200, 10.0, seed=1), reals) == pytest.approx(1 / 3, abs=0.03)
    assert diversity(np.repeat(reals[:1], 50, axis=0), reals) == 0.0
    two_modes = np.repeat(reals[:2], 50, axis=0)
    assert diversity(two_modes, reals) == pytest.approx(0.5, abs=0.15)


def test_diversity_does_not_see_order_or_fine_noise() -> None:
    reals, fakes = faces(50, 30.0), faces(60, 20.0, seed=1)
    value = diversity(fakes, reals)
    assert diversity(fakes[::-1], reals[::-1]) == pytest.approx(value, rel=1e-6)
    checkerboard = ((np.indices((16, 16)).sum(axis=0) % 2) * 40 - 20)[None, :, :, None]
    noisy = (fakes.astype(int) + checkerboard).clip(0, 255).astype(np.uint8)
    assert diversity(noisy, reals) == pytest.approx(value, rel=1e-3)


def test_diversity_of_odd_sets() -> None:
    flat = np.zeros((5, 16, 16, 3), np.uint8)
    assert diversity(faces(5, 30.0), flat) == 1.0
    with pytest.raises(ValueError, match="at least 2 pictures"):
        diversity(flat[:1], flat)


def test_coarse_is_the_mean_of_squares() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    got = coarse(images, 4).reshape(3, 4, 4, 3)
    assert got[1, 2, 3, 0] == pytest.approx(images[1, 8:12, 12:16, 0].mean() / 127.5 - 1, abs=1e-6)


def test_out_of_range_counts_values() -> None:
    images = torch.tensor([-1.0, 1.0, 0.0, 1.01, -3.0, float("nan"), 0.5, float("inf")])
    assert float(out_of_range(images)) == 0.5
    assert float(out_of_range(torch.zeros(2, 3, 4, 4))) == 0.0


def test_gradient_norm_is_of_all_gradients_together() -> None:
    layer, idle = nn.Linear(2, 1), nn.Linear(2, 1)
    layer.weight.grad, layer.bias.grad = torch.tensor([[3.0, 0.0]]), torch.tensor([4.0])
    assert float(gradient_norm([*layer.parameters(), *idle.parameters()])) == 5.0
    assert float(gradient_norm(idle.parameters())) == 0.0
    layer.bias.grad = torch.tensor([float("nan")])
    assert gradient_norm(layer.parameters()).isnan()
