"""The loop: exact resume, determinism, averaging, the order of the data, learning at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from genface.errors import UserError
from genface.photos import Preparation
from trainface import checkpoint, loop
from trainface import run as run_folder
from trainface.config import Config
from trainface.data.dataset import FaceSet, split_holdout
from trainface.history import read_entries
from trainface.logbook import Logbook
from trainface.loop import _roll_back_or_stop, train
from trainface.presets import preset
from trainface.step import Stats
from trainface.trainer import Trainer
from trainface.watch import scores
from trainface.watch.guard import Verdict
from trainface.watch.scores import Score

CPU = torch.device("cpu")


def flat(network: nn.Module) -> torch.Tensor:
    """All weights in a row."""
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def assert_equal(a: Any, b: Any, where: str = "") -> None:
    """Bit-for-bit equality of nested states."""
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_equal(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for index, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_equal(x, y, f"{where}[{index}]")
    else:
        assert a == b, where


@pytest.mark.parametrize("name", ["tiny", "tiny-dcgan"])
def test_resumed_run_equals_the_uninterrupted_one_bit_for_bit(name: str, faces: FaceSet, tmp_path: Path) -> None:
    """2 + 2 ticks through a file against 4."""
    config = preset(name)
    half = config.with_settings({"kimg": "0.2", "decay_kimg": "0.4"})
    whole = config.with_settings({"kimg": "0.4", "decay_kimg": "0.4"})
    straight, first, second = (tmp_path / part for part in ("straight", "first", "second"))

    uninterrupted = Trainer(whole, faces, CPU)
    assert train(uninterrupted, straight, Logbook(straight, 0))

    assert train(Trainer(half, faces, CPU), first, Logbook(first, 0))
    torch.manual_seed(12345)  # a new process starts with another global state
    resumed = Trainer(whole, faces, CPU)
    resumed.load_state(checkpoint.load(first / "checkpoint.pt"))
    assert resumed.cur_nimg == 200
    assert train(resumed, second, Logbook(second, 0))

    assert_equal(resumed.state(), uninterrupted.state())


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
    weight = trainer._penalty_weight(0.0)
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


def test_every_face_is_seen_once_an_epoch(faces: FaceSet, tiny: Config) -> None:
    trainer = Trainer(tiny.with_settings({"batch": "7"}), faces, CPU)
    n = len(trainer.train_indices)
    seen = np.concatenate(list(trainer.batches.stretches(0, 3 * n)))
    epochs = seen.reshape(3, n)
    for epoch in epochs:
        assert sorted(epoch) == sorted(trainer.train_indices)
    assert not np.array_equal(epochs[0], epochs[1])
    np.testing.assert_array_equal(np.concatenate(list(trainer.batches.stretches(n - 3, 9))), seen[n - 3 : n + 6])


def test_holdout_follows_content_and_stays_out(faces: FaceSet, tiny: Config) -> None:
    trainer = Trainer(tiny.with_settings({"holdout": "0.3"}), faces, CPU)
    held = set(trainer.holdout_indices)
    assert 5 < len(held) < 35
    assert not held & set(np.concatenate(list(trainer.batches.stretches(0, 500))))
    recorded = trainer.state()["data"]["holdout"]["sha256"]
    assert recorded == [faces.digests[i] for i in sorted(held)]
    # Another order and more pictures: the same contents are held out.
    order = list(reversed(faces.digests))
    _, reordered = split_holdout([*order, "f" * 64], 0.3)
    assert {order[i] for i in reordered} == set(recorded)


def test_holdout_share_is_met_on_average() -> None:
    rng = np.random.default_rng(0)
    digests = [rng.bytes(32).hex() for _ in range(4000)]
    _, held = split_holdout(digests, 0.05)
    assert len(held) / 4000 == pytest.approx(0.05, abs=0.015)  # four standard deviations


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


def test_a_resumed_run_has_the_origin_that_it_had(faces: FaceSet, tiny: Config, tmp_path: Path) -> None:
    (tmp_path / "one.pt").write_bytes(b"one")
    (tmp_path / "other.pt").write_bytes(b"other")
    trainer = Trainer(tiny, faces, CPU)
    trainer.origin = {"sha256": hashlib.sha256(b"one").hexdigest()}
    run_folder._refuse_other_origin(trainer, run_folder.Beginning(init_from=tmp_path / "one.pt"))
    with pytest.raises(UserError, match="did not begin with this checkpoint"):
        run_folder._refuse_other_origin(trainer, run_folder.Beginning(init_from=tmp_path / "other.pt"))


def spoil(trainer: Trainer) -> None:
    with torch.no_grad():
        next(trainer.G.parameters()).fill_(float("nan"))


def test_without_a_guard_divergence_stops_the_run_and_keeps_the_checkpoint(
    faces: FaceSet, tiny: Config, tmp_path: Path
) -> None:
    trainer = Trainer(tiny.with_settings({"guard": "false"}), faces, CPU)
    train(trainer, tmp_path, Logbook(tmp_path, 0))
    before = (tmp_path / "checkpoint.pt").read_bytes()
    spoil(trainer)
    trainer.cur_nimg = 200
    with pytest.raises(UserError, match="diverged"):
        train(trainer, tmp_path, Logbook(tmp_path, 0))
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_the_guard_rolls_back_and_the_run_ends_well(faces: FaceSet, tiny: Config, tmp_path: Path) -> None:
    trainer, logbook = Trainer(tiny, faces, CPU), Logbook(tmp_path, 0)
    step, steps = trainer.step, 0

    def step_that_fails_once() -> Stats:
        nonlocal steps
        steps += 1
        if steps == 30:
            spoil(trainer)
        return step()

    trainer.step = step_that_fails_once  # type: ignore[method-assign]
    assert train(trainer, tmp_path, logbook)
    assert steps > 50, "the spoilt tick was done again"
    assert trainer.has_finite_weights()
    assert trainer.guard.factors.g_lr == 0.5
    entries = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    events = [entry["event"] for entry in entries if "event" in entry]
    assert any("not finite" in event for event in events)
    assert any("rolled back from 0.3 to" in event for event in events)


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


def stop_after(trainer: Trainer, steps: int) -> None:
    """Let a step send what Ctrl-C sends."""
    step = trainer.step

    def counted() -> Stats:
        nonlocal steps
        steps -= 1
        if steps == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return step()

    trainer.step = counted  # type: ignore[method-assign]


def test_a_run_stopped_in_the_middle_of_a_tick_misses_no_score_and_no_adaptation(
    faces: FaceSet, tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped at 72 of a tick of 104 images, beyond the 50 at which a score was due: the same state in the end."""
    monkeypatch.setattr(scores, "_load_extractor", lambda say: scores.CoarsePixels())
    settings = {"score_kimg": "0.05", "score_images": "16", "augment_target": "0.3", "holdout": "0.3"}
    config = tiny.with_settings(settings | {"ema_halflives_kimg": "0.02,0.1"})
    straight, parted = tmp_path / "straight", tmp_path / "parted"
    whole, first, second = (Trainer(config, faces, CPU) for _ in range(3))
    assert train(whole, straight, Logbook(straight, 0))

    stop_after(first, 9)
    assert not train(first, parted, Logbook(parted, 0))
    assert first.cur_nimg == 72
    second.load_state(checkpoint.load(parted / "checkpoint.pt"))
    assert train(second, parted, Logbook(parted, 72))
    assert_equal(second.state(), whole.state())
    logged = [[entry["kimg"] for entry in read_entries(run / "log.jsonl") if "scores" in entry]
              for run in (straight, parted)]  # fmt: skip
    assert logged[0] == logged[1] == [0.104, 0.2, 0.304, 0.4]


def test_a_roll_back_keeps_the_score_of_the_best_file(faces: FaceSet, tiny: Config, tmp_path: Path) -> None:
    trainer, logbook = Trainer(tiny, faces, CPU), Logbook(tmp_path, 0)
    checkpoint.save(trainer.state(), tmp_path / "checkpoint.pt")
    checkpoint.keep_copy(tmp_path, 0, 3)
    trainer.step()
    trainer.best_kid = 0.1
    verdict = Verdict(messages=[], roll_back=True, stop=False, good=False)
    _roll_back_or_stop(trainer, verdict, tmp_path, logbook)
    assert (trainer.cur_nimg, trainer.best_kid) == (0, 0.1)
    assert checkpoint.load(tmp_path / "checkpoint.pt")["best_kid"] == 0.1


def test_a_disk_that_is_full_at_a_roll_back_does_not_end_the_run(
    faces: FaceSet, tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer, logbook = Trainer(tiny, faces, CPU), Logbook(tmp_path, 0)
    checkpoint.save(trainer.state(), tmp_path / "checkpoint.pt")
    checkpoint.keep_copy(tmp_path, 0, 3)
    trainer.step()
    monkeypatch.setattr(checkpoint, "RESERVE_BYTES", 1 << 60)
    verdict = Verdict(messages=[], roll_back=True, stop=False, good=False)
    _roll_back_or_stop(trainer, verdict, tmp_path, logbook)
    assert trainer.cur_nimg == 0
    assert "nothing could be saved" in capsys.readouterr().err


def test_a_best_score_that_could_not_be_saved_is_forgotten(
    faces: FaceSet, tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else no later, worse one would be saved as best, and there would be no best.pt at all."""
    kids, saved = iter([0.1, 0.2, 0.3, 0.4]), []
    save = loop._save

    def full_at_first(*args: Any, is_best: bool, **options: Any) -> None:
        saved.append(is_best)
        if len(saved) == 2:  # the first is that of the beginning
            raise OSError("disk full")
        save(*args, is_best=is_best, **options)

    def scored(trainer: Trainer, *_: Any) -> dict[str, Score]:
        return {trainer.bank.best_key: Score(kid=next(kids), kid_error=0.0, frechet=1.0)}

    monkeypatch.setattr(loop, "_save", full_at_first)
    monkeypatch.setattr(loop, "_score_if_due", scored)
    train(Trainer(tiny, faces, CPU), tmp_path, Logbook(tmp_path, 0))
    assert saved == [False, True, True, False, False]
    assert checkpoint.load(tmp_path / "best.pt")["best_kid"] == 0.2


def test_black_and_white_faces_are_not_taken_for_a_generator_that_runs_away(faces: FaceSet, tiny: Config) -> None:
    """Values just beyond the range where the faces are black: rightly half of them or more, and no alarm."""
    black = FaceSet(**vars(faces) | {"images": np.where(np.arange(16)[:, None] < 10, 0, faces.images).astype(np.uint8)})
    shares = []
    for data in (faces, black):
        trainer = Trainer(tiny, data, CPU)
        trainer.bank.best.forward = lambda z: torch.cat(  # type: ignore[method-assign]
            [torch.full((len(z), 3, 16, 10), -1.01), torch.rand(len(z), 3, 16, 6)], dim=3
        )
        shares.append(loop._Watch(trainer).look()["out_of_range"])
    assert shares == pytest.approx([10 / 16, 0.0], abs=0.05)


def test_other_checkpoints_of_the_folder_agree_with_the_one_it_goes_on_from(
    faces: FaceSet, tiny: Config, tmp_path: Path
) -> None:
    """An earlier checkpoint.pt put back by hand, then one that was killed before it could be called the best."""
    trainer, logbook = Trainer(tiny, faces, CPU), Logbook(tmp_path, 0)
    path, best = tmp_path / "checkpoint.pt", tmp_path / "best.pt"
    for trainer.cur_nimg, trainer.best_kid in ((100, 0.5), (200, 0.1)):
        trainer.tick_began = trainer.cur_nimg
        loop._save(trainer, tmp_path, good=True, is_best=True)
    resumed = Trainer(tiny, faces, CPU)
    resumed.load_state(checkpoint.load(tmp_path / "checkpoints" / "000000100.pt"))
    run_folder._let_agree(resumed, tmp_path, logbook)
    assert [kept.name for kept in checkpoint.kept(tmp_path)] == ["000000100.pt"]
    assert resumed.best_kid == 0.1, "a worse one must not take the place of best.pt"

    trainer.cur_nimg = trainer.tick_began = 300
    trainer.best_kid = 0.05
    checkpoint.save(trainer.state(), path)
    run_folder._let_agree(trainer, tmp_path, logbook)
    assert best.samefile(path)


def test_a_folder_that_lost_its_checkpoint_is_not_begun_anew(faces: FaceSet, tiny: Config, tmp_path: Path) -> None:
    """The kept ones, of more images, would be taken for the new run's newest."""
    train(Trainer(tiny, faces, CPU), tmp_path, Logbook(tmp_path, 0))
    (tmp_path / "checkpoint.pt").unlink()
    with pytest.raises(UserError, match=r"has lost its checkpoint\.pt; copy .*checkpoints"):
        run_folder.train_run(
            tmp_path, tiny, device_name="cpu", open_faces=lambda _: faces, beginning=run_folder.Beginning()
        )


def test_a_probe_of_gamma_begins_where_the_run_does(
    faces: FaceSet, tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Trainer(tiny.with_settings({"seed": "7"}), faces, CPU)
    checkpoint.save(source.state(), tmp_path / "old.pt")
    began: list[torch.Tensor] = []

    def probe(config: Config, make: Any, say: Any) -> Any:
        began.append(flat(make(config).D))
        return config.gamma

    monkeypatch.setattr(run_folder, "probe_gamma", probe)
    monkeypatch.setattr(run_folder, "finish", lambda *args, **options: None)
    beginning = run_folder.Beginning(init_from=tmp_path / "old.pt", probe_gamma=True)
    run_folder.train_run(tmp_path / "run", tiny, device_name="cpu", open_faces=lambda _: faces, beginning=beginning)
    assert torch.equal(began[0], flat(source.D))


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


def test_a_damaged_checkpoint_is_a_plain_error(faces: FaceSet, tiny: Config) -> None:
    state = Trainer(tiny, faces, CPU).state()
    for spoilt in ({k: v for k, v in state.items() if k != "G"}, state | {"G": {}}):
        with pytest.raises(UserError, match=r"c\.pt: damaged"):
            run_folder._restore(Trainer(tiny, faces, CPU), spoilt, Path("c.pt"))


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
