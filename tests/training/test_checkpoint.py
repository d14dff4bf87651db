"""Checkpoints: complete or absent, and nothing but tensors and plain values."""

import os
import pickle
from pathlib import Path

import pytest
import torch

from genface.errors import UserError
from trainface import checkpoint


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    checkpoint.save({"cur_nimg": 3, "G": {"w": torch.ones(2)}}, path)
    state = checkpoint.load(path)
    assert state["cur_nimg"] == 3
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
        torch.save({"kind": checkpoint.KIND, "format_version": 1, "G": Dangerous()}, path)
    elif content == "old pickle":
        path.write_bytes(pickle.dumps({"kind": checkpoint.KIND}))
    with pytest.raises(UserError, match=message):
        checkpoint.load(path)
