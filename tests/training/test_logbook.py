"""The logbook: what it writes, what it drops, and what it tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainface.history import read_history
from trainface.logbook import Logbook
from trainface.sheet import sheet


def tick(logbook: Logbook, cur_nimg: int, **changes: Any) -> None:
    numbers: dict[str, Any] = {"total_nimg": 100_000, "tick_nimg": 10_000, "seconds": 100.0}
    logbook.tick(cur_nimg=cur_nimg, means={"d_loss": 0.5}, schedules={"gamma": 1.0}, **(numbers | changes))


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def scalars(run: Path, tag: str) -> list[int]:
    """Steps of a curve as TensorBoard itself reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(run / "tensorboard"), purge_orphaned_data=True)
    accumulator.Reload()
    return [event.step for event in accumulator.Scalars(tag)]


def test_a_tick_tells_losses_speed_time_left_and_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logbook = Logbook(tmp_path, 0)
    tick(logbook, 40_000)
    logbook.close()
    said = capsys.readouterr().err
    assert "40.0 of 100.0 kimg  100 images/s  0:10:00 left" in said
    assert "GB" in said
    assert "d_loss 0.500" in said
    (entry,) = lines(tmp_path)
    assert entry["images_per_second"] == 100
    assert 0.01 < entry["memory_gb"] < 100
    assert (entry["d_loss"], entry["gamma"], entry["seconds"]) == (0.5, 1.0, 100.0)


def test_a_run_beyond_its_length_has_nothing_left_not_less(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logbook = Logbook(tmp_path, 0)
    tick(logbook, 100_016)
    logbook.close()
    said = capsys.readouterr().err
    assert "0:00:00 left" in said
    assert "day" not in said


def test_a_number_that_is_not_finite_becomes_null(tmp_path: Path) -> None:
    logbook = Logbook(tmp_path, 0)
    logbook.tick(
        cur_nimg=1000, total_nimg=2000, tick_nimg=1000, seconds=1.0, means={"d_loss": float("nan")}, schedules={}
    )
    logbook.close()
    assert "NaN" not in (tmp_path / "log.jsonl").read_text()
    assert lines(tmp_path)[0]["d_loss"] is None


def test_scores_and_events_are_lines_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logbook = Logbook(tmp_path, 0)
    tick(logbook, 10_000)
    scores = {"5": {"kid": 0.2, "frechet": 90.0}, "20": {"kid": 0.1, "frechet": 80.0}}
    logbook.score(10_000, scores, "20")
    logbook.event(10_000, "gamma doubled")
    logbook.close()
    assert lines(tmp_path)[1:] == [
        {"kimg": 10.0, "scores": scores, "best_ema": "20"},
        {"kimg": 10.0, "event": "gamma doubled"},
    ]
    history = read_history(tmp_path)
    assert len(history.ticks) == len(history.scores) == len(history.events) == 1
    assert history.scores[0].best == {"kid": 0.1, "frechet": 80.0}
    said = capsys.readouterr().err
    assert "gamma doubled" in said
    assert "kid 0.1" in said


def test_a_resumed_run_drops_what_comes_again_and_keeps_its_seconds(tmp_path: Path) -> None:
    logbook = Logbook(tmp_path, 0)
    tick(logbook, 10_000)
    logbook.event(10_000, "first")
    tick(logbook, 20_000)
    logbook.close()
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"kimg": 25, "d_lo')
    resumed = Logbook(tmp_path, 10_000)
    tick(resumed, 20_000)
    resumed.close()
    assert [(entry["kimg"], entry.get("seconds")) for entry in lines(tmp_path)] == [(10, 100), (10, None), (20, 200)]


def test_a_roll_back_stays_on_record_when_the_run_is_resumed_after_it(tmp_path: Path) -> None:
    logbook = Logbook(tmp_path, 0)
    for cur_nimg in (10_000, 20_000):
        tick(logbook, cur_nimg)
    logbook.event(20_000, "rolled back")
    tick(logbook, 15_000)
    logbook.close()
    Logbook(tmp_path, 15_000)
    assert [entry["kimg"] for entry in lines(tmp_path)] == [10, 20, 20, 15]


def test_tensorboard_forgets_what_a_killed_run_logged_beyond_its_checkpoint(tmp_path: Path) -> None:
    killed = Logbook(tmp_path, 0)
    for cur_nimg in (10_000, 20_000, 30_000):
        tick(killed, cur_nimg)
    assert scalars(tmp_path, "train/d_loss") == [10_000, 20_000, 30_000], "on the disk without a close"
    killed.close()
    resumed = Logbook(tmp_path, 10_000)
    tick(resumed, 15_000)
    resumed.close()
    assert scalars(tmp_path, "train/d_loss") == [10_000, 15_000]


def test_a_grid_is_saved_and_shown(tmp_path: Path) -> None:
    from PIL import Image

    faces = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3)).astype(np.uint8)
    logbook = Logbook(tmp_path, 0)
    logbook.grid(faces, 1234)
    logbook.close()
    with Image.open(tmp_path / "grids" / "000001234.png") as grid:
        pixels = np.asarray(grid)
    assert pixels.shape == (8, 12, 3)
    assert (pixels[4:, 4:8] == faces[4]).all()
    assert (pixels[4:, 8:] == 255).all()
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_a_run_with_nothing_to_do_writes_no_event_files(tmp_path: Path) -> None:
    Logbook(tmp_path, 0).close()
    assert not (tmp_path / "tensorboard").exists()


def test_a_sheet_takes_columns() -> None:
    assert sheet(np.zeros((6, 4, 4, 3), np.uint8), columns=2).size == (8, 12)
