"""Checkpoints: complete or absent, nothing but tensors and plain values, kept and let go."""

import errno
import os
import pickle
import resource
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch

from genface.errors import UserError
from trainface import atomic, checkpoint
from trainface.config import Config
from trainface.presets import preset

Usage = namedtuple("Usage", "total used free")


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    checkpoint.save({"cur_nimg": 3, "G": {"w": torch.ones(2)}}, path)
    state = checkpoint.load(path)
    assert state["cur_nimg"] == 3
    assert state["format_version"] == 2
    assert torch.equal(state["G"]["w"], torch.ones(2))
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"]


def test_a_failed_write_keeps_the_previous_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.pt"
    checkpoint.save({"cur_nimg": 1}, path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save({"cur_nimg": 2}, path)
    assert checkpoint.load(path)["cur_nimg"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"]


def test_a_write_that_fails_half_way_keeps_the_previous_one(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    checkpoint.save({"cur_nimg": 1}, path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Python ignores SIGXFSZ, so that the write beyond the limit fails as on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match=r"cannot be written|too large") as caught:
            checkpoint.save({"cur_nimg": 2, "G": torch.ones(1 << 18)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(path)
    assert checkpoint.load(path)["cur_nimg"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"]


def test_a_full_disk_is_an_os_error_that_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path("/dev/full")
    if not path.exists():
        pytest.skip("this system has no /dev/full")
    monkeypatch.setattr(Path, "with_name", lambda self, name: path)
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok: None)
    with pytest.raises(OSError, match=r"No space left|cannot be written") as caught:
        checkpoint.save({"G": torch.ones(1 << 16)}, tmp_path / "c.pt")
    assert caught.value.filename == str(tmp_path / "c.pt")
    assert not (tmp_path / "c.pt").exists()


def test_the_name_is_on_the_disk_before_save_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bool] = []
    fsync = os.fsync

    def spy(descriptor: int) -> None:
        synced.append(os.path.isdir(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    atomic.write_text(tmp_path / "a.txt", "a")
    assert synced == [False, True], "the file, then its folder"


class Run:
    """A run folder with checkpoints of 1 MB, and a disk of a size that the test sets."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "checkpoint.pt"

    def save(self, nimg: int, keep: int = 3) -> None:
        checkpoint.save({"cur_nimg": nimg, "G": torch.full((1 << 18,), float(nimg))}, self.path)
        checkpoint.keep_copy(self.folder, nimg, keep)

    @property
    def kept(self) -> list[str]:
        return [path.name for path in checkpoint.kept(self.folder)]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_the_newest_are_kept_as_further_names_of_one_file(run: Run) -> None:
    assert run.kept == []
    for nimg in (8_000, 10_000, 900_000_000, 1_000_000_000):
        run.save(nimg)
    assert run.kept == ["1000000000.pt", "900000000.pt", "000010000.pt"], "by number, not by text"
    assert [checkpoint.load(path)["cur_nimg"] for path in checkpoint.kept(run.folder)] == [10**9, 9 * 10**8, 10_000]
    assert run.path.samefile(checkpoint.kept(run.folder)[0])


def test_keeping_again_replaces(run: Run) -> None:
    run.save(1000)
    checkpoint.keep_copy(run.folder, 1000, 3)
    checkpoint.save({"cur_nimg": 1000, "again": True}, run.path)
    checkpoint.keep_copy(run.folder, 1000, 3)
    assert run.kept == ["000001000.pt"]
    assert checkpoint.load(checkpoint.kept(run.folder)[0])["again"]
    assert sorted(path.name for path in run.folder.iterdir()) == ["checkpoint.pt", "checkpoints"]
    assert len(list((run.folder / "checkpoints").iterdir())) == 1


def test_a_file_system_without_links_gets_copies(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(self: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    run.save(1000)
    run.save(2000)
    assert run.kept == ["000002000.pt", "000001000.pt"]
    assert [checkpoint.load(path)["cur_nimg"] for path in checkpoint.kept(run.folder)] == [2000, 1000]


def test_a_short_disk_lets_go_of_older_ones_first(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for nimg in (1000, 2000, 3000):
        run.save(nimg)
    one = run.path.stat().st_size

    def free(_: object) -> Usage:
        # Room for the reserve and for the next, once one of the older is gone.
        missing = 3 - len(run.kept)
        return Usage(0, 0, checkpoint.RESERVE_BYTES + one // 2 + missing * one)

    monkeypatch.setattr(shutil, "disk_usage", free)
    checkpoint.save({"cur_nimg": 4000, "G": torch.ones(1 << 18)}, run.path)
    assert run.kept == ["000003000.pt", "000002000.pt"]
    assert checkpoint.load(run.path)["cur_nimg"] == 4000


def test_a_full_disk_is_seen_before_writing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for nimg in (1000, 2000):
        run.save(nimg)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 64_500_000))
    with pytest.raises(OSError, match=r"need 65 MB, 6[45] MB are free") as caught:
        run.save(3000)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(run.path)
    assert checkpoint.load(run.path)["cur_nimg"] == 2000
    assert run.kept == ["000002000.pt"], "the newest stays, to roll back to"


def version_1(architecture: str = "normfree") -> dict[str, Any]:
    """As trainface 0.1.0 wrote it."""
    config = {
        "preset": "tiny", "architecture": architecture, "size": 16, "z_dim": 8, "g_widths": [16, 16],
        "d_widths": [16, 16], "loss": "relativistic", "batch": 8, "kimg": 0.4, "decay_kimg": None,
        "g_lr": "0.002:0.001", "d_lr": "0.002:0.001", "beta1": 0.0, "beta2": "0.9:0.99", "gamma": "1:0.1",
        "penalty_every": 2, "augment": "0.2", "x_flip": True, "ema_halflife_kimg": 0.1, "holdout": 0.05,
        "tick_kimg": 0.1, "precision": "auto", "compile": "auto", "seed": 0,
    }  # fmt: skip
    if architecture == "dcgan":
        config |= {"g_widths": [16], "d_widths": [16], "loss": "bce", "beta1": 0.5, "gamma": "0", "penalty_every": 1}
    return {
        "kind": checkpoint.KIND,
        "format_version": 1,
        "config": config,
        "cur_nimg": 400,
        "G": {"w": torch.ones(2)},
        "G_ema": {"w": torch.full((2,), 3.0)},
    }


def test_format_1_is_lifted(tmp_path: Path) -> None:
    torch.save(version_1(), tmp_path / "c.pt")
    state = checkpoint.load(tmp_path / "c.pt")
    assert state["format_version"] == checkpoint.FORMAT_VERSION
    assert state["best_ema"] == "0.1"
    assert torch.equal(state["ema"]["0.1"]["w"], torch.full((2,), 3.0))
    assert "G_ema" not in state
    assert state["cur_nimg"] == 400
    config = Config.from_dict(state["config"])
    assert [str(halflife) for halflife in config.ema_halflives_kimg] == ["0.1"]
    assert (config.d_norm, config.penalty, str(config.beta1), config.score_kimg) == ("none", "r1r2", "0", 50.0)
    # All that format 1 knew of the recipe reads like the preset of today.
    assert {name: getattr(config, name) for name in ("g_widths", "g_lr", "beta2", "gamma", "augment")} == {
        name: getattr(preset("tiny"), name) for name in ("g_widths", "g_lr", "beta2", "gamma", "augment")
    }


def test_format_1_of_a_dcgan_has_batch_norm_in_d(tmp_path: Path) -> None:
    torch.save(version_1("dcgan"), tmp_path / "c.pt")
    config = Config.from_dict(checkpoint.load(tmp_path / "c.pt")["config"])
    assert (config.d_norm, str(config.beta1)) == ("batch", "0.5")


@pytest.mark.parametrize("lost", ["config", "G_ema"])
def test_format_1_with_a_part_missing_is_damaged(tmp_path: Path, lost: str) -> None:
    state = version_1()
    del state[lost]
    torch.save(state, tmp_path / "c.pt")
    with pytest.raises(UserError, match=f"damaged.*{lost}"):
        checkpoint.load(tmp_path / "c.pt")


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    checkpoint.save({"G": torch.arange(1000.0)}, path)
    data = bytearray(path.read_bytes())
    at = data.find(torch.arange(500.0, 510.0).numpy().tobytes())
    assert at > 0
    data[at + 5] ^= 64
    path.write_bytes(data)
    with pytest.raises(UserError, match="does not match its checksum"):
        checkpoint.load(path)


class Dangerous:
    def __reduce__(self) -> tuple[object, ...]:
        return (os.getenv, ("HOME",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("missing", "no such checkpoint"),
        ("truncated", "cut short"),
        ("text", "not a checkpoint"),
        ("foreign", "not a checkpoint"),
        ("newer", "format 99"),
        ("code", "refused"),
        ("old pickle", "not a checkpoint"),
    ],
)
def test_other_files_are_refused_in_plain_words(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "c.pt"
    if content == "truncated":
        checkpoint.save({"G": torch.ones(1000)}, path)
        path.write_bytes(path.read_bytes()[:-500])
    elif content == "text":
        path.write_text("hello")
    elif content == "foreign":
        torch.save({"state_dict": torch.ones(3)}, path)
    elif content == "newer":
        torch.save({"kind": checkpoint.KIND, "format_version": 99}, path)
    elif content == "code":
        torch.save({"kind": checkpoint.KIND, "format_version": 2, "G": Dangerous()}, path)
    elif content == "old pickle":
        path.write_bytes(pickle.dumps({"kind": checkpoint.KIND}))
    with pytest.raises(UserError, match=message):
        checkpoint.load(path)
