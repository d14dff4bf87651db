"""Tick by tick: exact resume, saving, scoring, the guard, roll-back."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genface.errors import UserError
from trainface import checkpoint, loop
from trainface.config import Config
from trainface.data.dataset import FaceSet
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


def spoil(trainer: Trainer) -> None:
    with torch.no_grad():
        next(trainer.G.parameters()).fill_(float("nan"))


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
