"""The averaged generators against the formula, step by step."""

import copy

import pytest
import torch
from torch import nn

from genface.errors import UserError
from trainface.ema import EmaBank, decay, update
from trainface.schedules import Cosine

FIVE, TWENTY, GROWING = Cosine(5.0, 5.0), Cosine(20.0, 20.0), Cosine(0.0, 100.0)


def network(value: float) -> nn.Module:
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    nn.init.constant_(G[0].weight, value)
    return G


def test_decay_halves_over_a_half_life() -> None:
    keep = decay(32, 10_000_000, 20.0)
    assert keep ** (20_000 / 32) == pytest.approx(0.5, rel=1e-12)


def test_decay_grows_with_the_run_to_a_tenth_of_the_images_seen() -> None:
    assert decay(32, 3200, 20.0) == pytest.approx(0.5 ** (32 / 320))
    assert decay(32, 0, 20.0) == 0.0
    assert decay(32, 1000, 0.0) == 0.0


def test_every_average_follows_its_own_half_life_and_schedule() -> None:
    bank = EmaBank(network(0.0), (FIVE, TWENTY, GROWING))
    G = network(1.0)
    expected = {"5": 0.0, "20": 0.0, "0:100": 0.0}
    for step, at in enumerate((0.0, 0.25, 0.5), 1):
        nimg = 1_000_000 + 512 * step
        bank.update(G, 512, nimg, at)
        for key, halflife in zip(expected, (5.0, 20.0, GROWING.at(at)), strict=True):
            keep = decay(512, nimg, halflife)
            expected[key] = keep * expected[key] + (1 - keep)
    got = {key: model[0].weight[0, 0].item() for key, model in bank.models.items()}  # type: ignore[index]
    # float32 lerp against float64 arithmetic.
    assert got == pytest.approx(expected, rel=1e-5)
    assert got["20"] < got["5"] < 1.0


def test_floating_buffers_are_averaged_and_counters_copied() -> None:
    average, model = network(0.0), network(0.0)
    model[1].running_mean.fill_(2.0)  # type: ignore[index]
    model[1].num_batches_tracked.fill_(7)  # type: ignore[index]
    update(average, model, 0.75)
    assert average[1].running_mean.tolist() == [0.5, 0.5]  # type: ignore[index]
    assert average[1].num_batches_tracked.item() == 7  # type: ignore[index]


def test_averages_never_train_and_leave_g_alone() -> None:
    G = network(1.0)
    before = copy.deepcopy(G.state_dict())
    bank = EmaBank(G, (FIVE,))
    bank.update(G, 8, 8, 0.0)
    assert not bank.best.training
    assert not any(parameter.requires_grad for parameter in bank.best.parameters())
    assert G.training
    assert all(parameter.requires_grad for parameter in G.parameters())
    assert all(torch.equal(value, before[name]) for name, value in G.state_dict().items())


@pytest.mark.parametrize(
    ("halflives", "median"), [((TWENTY,), "20"), ((GROWING, FIVE, TWENTY), "20"), ((TWENTY, FIVE), "5")]
)
def test_the_median_is_best_at_first(halflives: tuple[Cosine, ...], median: str) -> None:
    bank = EmaBank(network(0.0), halflives)
    assert bank.best_key == median
    assert bank.best is bank.models[median]


def test_restart_makes_every_average_g() -> None:
    bank = EmaBank(network(0.0), (FIVE, TWENTY))
    G = network(3.0)
    bank.restart(G)
    for model in bank.models.values():
        assert all(torch.equal(value, G.state_dict()[name]) for name, value in model.state_dict().items())


def test_state_comes_back_bit_for_bit_with_the_best() -> None:
    bank, other = EmaBank(network(0.0), (FIVE, TWENTY)), EmaBank(network(5.0), (FIVE, TWENTY))
    bank.update(network(1.0), 8, 800, 0.0)
    bank.best_key = "20"
    other.load_state_dict({"cur_nimg": 800} | bank.state_dict())
    assert other.best_key == "20"
    for key, model in bank.models.items():
        state = other.models[key].state_dict()
        assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_other_half_lives_are_refused() -> None:
    state = EmaBank(network(0.0), (FIVE,)).state_dict()
    with pytest.raises(UserError, match=r"5 there, 20 here.*ema_halflives_kimg"):
        EmaBank(network(0.0), (TWENTY,)).load_state_dict(state)
    with pytest.raises(UserError, match="ema_halflives_kimg"):
        EmaBank(network(0.0), (FIVE,)).load_state_dict(state | {"best_ema": "7"})
