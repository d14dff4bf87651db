"""One step after another: determinism, each network in its phase, the penalty, precision, golden losses."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from genface.errors import UserError
from genface.photos import Preparation
from trainface.config import Config
from trainface.data.dataset import FaceSet
from trainface.presets import preset
from trainface.step import Stats
from trainface.trainer import Trainer

CPU = torch.device("cpu")


def flat(network: nn.Module) -> torch.Tensor:
    """All weights in a row."""
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def test_equal_seeds_give_equal_runs_and_others_do_not(faces: FaceSet, tiny: Config) -> None:
    def weights_after_three_steps(seed: str) -> torch.Tensor:
        trainer = Trainer(tiny.with_settings({"seed": seed}), faces, CPU)
        for _ in range(3):
            trainer.step()
        return flat(trainer.G)

    assert torch.equal(weights_after_three_steps("1"), weights_after_three_steps("1"))
    assert not torch.equal(weights_after_three_steps("1"), weights_after_three_steps("2"))


def test_each_phase_moves_its_own_network_only(faces: FaceSet, tiny: Config) -> None:
    trainer = Trainer(tiny.with_settings({"g_lr": "0"}), faces, CPU)
    g_before = flat(trainer.G)
    d_before = flat(trainer.D)
    trainer.step()
    assert torch.equal(flat(trainer.G), g_before)
    assert not torch.equal(flat(trainer.D), d_before)


def test_penalty_is_taken_in_every_kth_step_with_weight_k(faces: FaceSet, tiny: Config) -> None:
    trainer = Trainer(tiny.with_settings({"penalty_every": "3", "gamma": "2"}), faces, CPU)
    taken = ["r1" in trainer.step() for _ in range(7)]
    assert taken == [True, False, False, True, False, False, True]
    trainer.cur_nimg = 0
    weight = trainer._penalty_weight()
    assert weight is not None
    assert weight.item() == 6.0


@pytest.mark.slow
def test_tiny_run_learns_the_data(faces: FaceSet, tiny: Config) -> None:
    """The mean colour of the pictures of one colour is learnt within a few kimg."""
    red = np.zeros_like(faces.images) + np.array([230, 20, 60], dtype=np.uint8)
    config = tiny.with_settings({"kimg": "4", "holdout": "0", "precision": "fp32"})
    trainer = Trainer(config, FaceSet(**vars(faces) | {"images": red}), CPU)
    while trainer.cur_nimg < 4000:
        trainer.step()
    mean = trainer.sample(np.random.default_rng(0).standard_normal((64, 8)).astype(np.float32)).mean((0, 1, 2))
    assert np.abs(mean - [230, 20, 60]).max() < 25


def test_fewer_faces_than_a_batch_is_an_error(faces: FaceSet, tiny: Config) -> None:
    with pytest.raises(UserError, match="fewer than one batch of 512"):
        Trainer(tiny.with_settings({"batch": "512"}), faces, CPU)


def test_other_settings_or_data_are_refused_on_resume(faces: FaceSet, tiny: Config) -> None:
    state = Trainer(tiny, faces, CPU).state()
    with pytest.raises(UserError, match=r"gamma: 1:0\.1 there, 5 now"):
        Trainer(tiny.with_settings({"gamma": "5"}), faces, CPU).load_state(state)
    with pytest.raises(UserError, match="other data"):
        Trainer(tiny, FaceSet(**vars(faces) | {"key": "1" * 64}), CPU).load_state(state)


def test_another_crop_on_resume_is_named(faces: FaceSet, tiny: Config) -> None:
    state = Trainer(tiny, faces, CPU).state()
    cropped = FaceSet(**vars(faces) | {"preparation": Preparation(size=16, crop="face"), "key": "1" * 64})
    with pytest.raises(UserError, match=r"prepared as 16 px, center crop.* now as 16 px, face crop.*the same --crop"):
        Trainer(tiny, cropped, CPU).load_state(state)


def test_a_step_with_gradients_that_are_not_finite_changes_nothing(faces: FaceSet, tiny: Config) -> None:
    trainer = Trainer(tiny, faces, CPU)
    trainer.step()
    weights, moments = flat(trainer.D), trainer.d_opt.state_dict()["state"][0]["exp_avg_sq"].clone()
    loss = trainer._phases._d_loss
    trainer._phases._d_loss = lambda *inputs: (loss(*inputs)[0] * float("inf"), loss(*inputs)[1])
    stats = trainer.step()
    assert stats["d_dropped"] == 1
    assert torch.equal(flat(trainer.D), weights)
    assert torch.equal(trainer.d_opt.state_dict()["state"][0]["exp_avg_sq"], moments)
    assert stats["g_dropped"] == 0


def test_d_is_left_out_while_its_loss_is_low(faces: FaceSet) -> None:
    config = preset("tiny-dcgan").with_settings({"skip_d_below": "1.3", "precision": "fp32"})
    trainer = Trainer(config, faces, CPU)
    for _ in range(30):
        before = flat(trainer.D)
        stats = trainer.step()
        assert bool(stats["d_skipped"]) == bool(stats["d_loss"] < 1.3) == torch.equal(flat(trainer.D), before)


def test_more_steps_of_d_see_more_reals(faces: FaceSet) -> None:
    trainer = Trainer(preset("tiny-dcgan").with_settings({"d_steps": "3"}), faces, CPU)
    trainer.step()
    assert trainer.cur_nimg == 24
    assert trainer.d_opt.state_dict()["state"][0]["step"] == 3
    assert trainer.g_opt.state_dict()["state"][0]["step"] == 1


def test_the_penalty_is_spread_over_all_steps_of_d_and_always_seen(faces: FaceSet, tiny: Config) -> None:
    """With as many steps of D as the penalty's period it falls on the first of them, and the log must still show it."""
    trainer = Trainer(tiny.with_settings({"d_steps": "2", "penalty_every": "2", "precision": "fp32"}), faces, CPU)
    phase, weights, losses = trainer._phases.discriminator_phase, [], []

    def watched(*inputs: Any) -> Stats:
        stats = phase(*inputs)
        weights.append(inputs[4])
        losses.append(stats["d_loss"])
        return stats

    trainer._phases.discriminator_phase = watched  # type: ignore[method-assign]
    seen = [trainer.step() for _ in range(2)]
    assert [weight is not None for weight in weights] == [True, False, True, False]
    assert all("r1" in stats for stats in seen)
    assert seen[0]["d_loss"].item() == pytest.approx((losses[0] + losses[1]).item() / 2)


GOLDEN = {
    "tiny": {"d_loss": 0.75357, "r1": 0.48192, "r2": 0.60448, "g_loss": 0.75445, "d_grad_norm": 3.2983},
    "tiny-dcgan": {"d_loss": 1.4781, "g_loss": 0.68616, "d_grad_norm": 7.3353, "g_grad_norm": 4.8191},
}


@pytest.mark.parametrize("name", GOLDEN)
def test_losses_of_a_fixed_run_are_golden(name: str, faces: FaceSet) -> None:
    """The fifth step's scalars in fp32: other processors add in another order, and five steps let that grow: 1 %."""
    trainer = Trainer(preset(name).with_settings({"precision": "fp32"}), faces, CPU)
    stats = [trainer.step() for _ in range(5)][-1]
    assert {key: stats[key].item() for key in GOLDEN[name]} == pytest.approx(GOLDEN[name], rel=1e-2)


def test_sample_does_not_depend_on_the_batch(faces: FaceSet, tiny: Config) -> None:
    trainer = Trainer(tiny, faces, CPU)
    z = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32)
    np.testing.assert_array_equal(trainer.sample(z)[:2], trainer.sample(z[:2]))


def test_bf16_changes_little(faces: FaceSet, tiny: Config) -> None:
    """One step's losses in bf16 and fp32; bf16 carries 8 bits, losses are sums of many roundings: 5 %."""
    stats = [Trainer(tiny.with_settings({"precision": p}), faces, CPU).step() for p in ("bf16", "fp32")]
    for name in ("d_loss", "g_loss", "r1", "r2"):
        assert stats[0][name].item() == pytest.approx(stats[1][name].item(), rel=0.05)


@pytest.mark.parametrize("architecture", ["normfree", "dcgan"])
@pytest.mark.parametrize("loss", ["relativistic", "bce"])
@pytest.mark.parametrize("strength", ["0", "0.5"])
def test_losses_networks_and_augmentation_combine(faces: FaceSet, architecture: str, loss: str, strength: str) -> None:
    config = preset("tiny" if architecture == "normfree" else "tiny-dcgan")
    trainer = Trainer(config.with_settings({"loss": loss, "augment": strength}), faces, CPU)
    stats = [trainer.step() for _ in range(2)][-1]
    assert all(value.isfinite() for value in stats.values())


def test_augmentation_reaches_both_kinds_of_discriminator(faces: FaceSet) -> None:
    """The same first step with and without augmentation: D must see other pictures, whatever its norm."""
    for name in ("tiny", "tiny-dcgan"):
        losses = [
            Trainer(preset(name).with_settings({"augment": p, "precision": "fp32"}), faces, CPU).step()["d_loss"].item()
            for p in ("0", "0.8")
        ]
        assert abs(losses[0] - losses[1]) > 1e-5, name


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile on a CPU needs g++")
def test_compiled_steps_match_eager(faces: FaceSet, tiny: Config) -> None:
    """20 steps of torch.compile on the CPU, with the second-order penalty inside; fp32 sums in another order."""
    losses = []
    for switch in ("on", "off"):
        torch.manual_seed(0)
        trainer = Trainer(tiny.with_settings({"compile": switch, "precision": "fp32"}), faces, CPU)
        losses.append([trainer.step()["d_loss"].item() for _ in range(20)])
    assert losses[0] == pytest.approx(losses[1], rel=2e-3)


def test_another_kind_of_device_begins_a_new_stream(faces: FaceSet, tiny: Config) -> None:
    trainer = Trainer(tiny, faces, CPU)
    trainer.step()
    state = trainer.state()
    state["rng"] = {"device": "cuda", "stream": torch.zeros(16, dtype=torch.uint8), "torch": torch.get_rng_state()}
    resumed = Trainer(tiny, faces, CPU)
    resumed.load_state(state)
    assert resumed.cur_nimg == 8
    assert resumed.rng.initial_seed() != tiny.seed
    resumed.step()
