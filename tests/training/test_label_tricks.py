"""Label tricks: the statistics of many draws, and what must never happen."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from trainface.game.label_tricks import Labels, draw_labels, pass_off

CPU = torch.device("cpu")
MANY = 20_000


def draw(num: int = MANY, seed: int = 0, **tricks: float) -> Labels:
    settings: dict[str, Any] = {"soft": 0.0, "noise": 0.0, "flips": 0.0, "swap": 1.0} | tricks
    return draw_labels(num, **settings, rng=torch.Generator().manual_seed(seed), device=CPU)


def share(condition: Tensor) -> float:
    return condition.to(torch.float64).mean().item()


def test_without_tricks_labels_are_hard() -> None:
    labels = draw(8)
    for tensor, value in ((labels.real, 1.0), (labels.fake, 0.0), (labels.swapped, 1.0)):
        torch.testing.assert_close(tensor, torch.full((8, 1), value), atol=0, rtol=0)


def test_soft_labels_fill_their_intervals_evenly() -> None:
    labels = draw(soft=0.1)
    for tensor, low in ((labels.real, 0.9), (labels.fake, 0.0)):
        assert tensor.min().item() == pytest.approx(low, abs=1e-3)
        assert tensor.max().item() == pytest.approx(low + 0.1, abs=1e-3)
        # A uniform's mean of 20,000: its standard error is 0.1 / sqrt(12 * 20,000) = 2e-4.
        assert tensor.mean().item() == pytest.approx(low + 0.05, abs=1e-3)
        assert tensor.std().item() == pytest.approx(0.1 / math.sqrt(12), rel=0.02)


def test_noise_is_gaussian_and_cut_off_at_the_ends() -> None:
    labels = draw(noise=0.05, soft=0.5)
    hard = draw(noise=0.05)
    assert (hard.real.min() < 0.85) & (hard.real.max() == 1)  # 20,000 draws reach beyond three deviations
    assert share(hard.real == 1) == pytest.approx(0.5, abs=0.015)  # the upper half is cut off
    assert (1 - hard.real[hard.real < 1]).square().mean().sqrt().item() == pytest.approx(0.05, rel=0.03)
    assert share(hard.fake == 0) == pytest.approx(0.5, abs=0.015)
    clean = draw(soft=0.5)
    inner = (clean.real > 0.75) & (clean.real < 0.8)
    assert (labels.real - clean.real)[inner].std().item() == pytest.approx(0.05, rel=0.1)


def test_flips_befall_their_share_of_both_sides_and_keep_the_softness() -> None:
    labels = draw(flips=0.2, soft=0.1)
    assert share(labels.real <= 0.1) == pytest.approx(0.2, abs=0.012)  # four standard errors
    assert share(labels.fake >= 0.9) == pytest.approx(0.2, abs=0.012)
    assert share((labels.real > 0.1) & (labels.real < 0.9)) == 0
    both = share((labels.real <= 0.1) & (labels.fake >= 0.9))
    assert both == pytest.approx(0.04, abs=0.006)  # the two sides are flipped one by one


@pytest.mark.parametrize("swap", [0.0, 0.3, 1.0])
def test_swap_is_the_share_of_images_labelled_real_for_g(swap: float) -> None:
    labels = draw(swap=swap)
    assert set(labels.swapped.unique().tolist()) <= {0.0, 1.0}
    tolerance = 0.0 if swap in (0.0, 1.0) else 0.013
    assert share(labels.swapped == 1) == pytest.approx(swap, abs=tolerance)


def test_labels_never_leave_the_unit_interval() -> None:
    labels = draw(soft=0.5, noise=1.0, flips=0.5, swap=0.5)
    for tensor in (labels.real, labels.fake):
        assert tensor.shape == (MANY, 1)
        assert tensor.dtype == torch.float32
        assert 0 <= tensor.min().item() <= tensor.max().item() <= 1


def test_the_random_stream_does_not_depend_on_the_settings() -> None:
    quiet, loud = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    draw_labels(5, soft=0, noise=0, flips=0, swap=1, rng=quiet, device=CPU)
    draw_labels(5, soft=0.5, noise=1, flips=0.5, swap=0.5, rng=loud, device=CPU)
    assert torch.equal(quiet.get_state(), loud.get_state())


def numbered(num: int, offset: float) -> tuple[Tensor, Tensor]:
    """Two scales of images that are all one number: its index, and an offset."""
    values = (torch.arange(num, dtype=torch.float32) + offset).view(num, 1, 1, 1)
    return values.expand(num, 3, 1, 1), values.expand(num, 3, 2, 2)


def test_a_share_of_fakes_is_reals_in_disguise_alike_at_every_scale() -> None:
    reals, fakes = numbered(MANY, 0.0), numbered(MANY, 1e6)
    low, high = pass_off(reals, fakes, 0.1, torch.Generator().manual_seed(0))
    disguised = low[:, 0, 0, 0] < MANY
    assert share(disguised) == pytest.approx(0.1, abs=0.009)  # four standard errors
    assert torch.equal(low[:, 0, 0, 0], high[:, 2, 1, 1])
    assert torch.equal(low[~disguised], fakes[0][~disguised])
    # Each comes from the place before, so no real faces itself.
    places = torch.arange(MANY)[disguised]
    assert torch.equal(low[disguised][:, 0, 0, 0], ((places - 1) % MANY).to(torch.float32))


@pytest.mark.parametrize(("given", "kept"), [(0.0, True), (1.0, False)])
def test_the_ends_of_the_schedule_pass_off_none_or_all(given: float, kept: bool) -> None:
    reals, fakes = numbered(16, 0.0), numbered(16, 100.0)
    result = pass_off(reals, fakes, given, torch.Generator().manual_seed(0))
    expected = fakes if kept else tuple(level.roll(1, dims=0) for level in reals)
    for mine, theirs in zip(result, expected, strict=True):
        assert torch.equal(mine, theirs)
