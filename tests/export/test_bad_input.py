"""What is given wrongly or goes wrong on the way: refused in one line, no code run, nothing half-written.

`test_cli.py` has what is no checkpoint at all, and checkpoints whose parts do not fit each other.
"""

from __future__ import annotations

import io
import os
import pickle
import threading
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch

import exportface.export
from exportface.export import export
from exportface.source import read_source
from exportface.staging import staged, write_staged
from exportface.to_torchscript import to_torchscript
from genface.errors import UserError
from genface.model import Generator

Run = Callable[..., tuple[int, str, str]]
Make = Callable[..., Path]

NO_SPACE = OSError(28, "No space left on device")


class _Code:
    """Unpickling this makes a folder: proof that code ran."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def _plain_pickle(code: _Code, good: Path) -> bytes:
    return pickle.dumps(code)


def _old_torch_file(code: _Code, good: Path) -> bytes:
    data = io.BytesIO()
    torch.save({"kind": "trainface-checkpoint", "code": code}, data, _use_new_zipfile_serialization=False)
    return data.getvalue()


def _beside_the_tensors(code: _Code, good: Path) -> bytes:
    data = io.BytesIO()
    torch.save(torch.load(good, weights_only=True) | {"extra": code}, data)
    return data.getvalue()


def _in_the_place_of_the_tensors(code: _Code, good: Path) -> bytes:
    """A good checkpoint whose pickle alone is another; every checksum is right."""
    data = io.BytesIO()
    with zipfile.ZipFile(good) as before, zipfile.ZipFile(data, "w") as after:
        for name in before.namelist():
            after.writestr(name, pickle.dumps(code, protocol=2) if name.endswith("data.pkl") else before.read(name))
    return data.getvalue()


@pytest.mark.parametrize("write", [_plain_pickle, _old_torch_file, _beside_the_tensors, _in_the_place_of_the_tensors])
def test_code_in_a_pickle_never_runs(
    run: Run, make_checkpoint: Make, tmp_path: Path, write: Callable[[_Code, Path], bytes]
) -> None:
    marker, given = tmp_path / "code ran", tmp_path / "given.pt"
    given.write_bytes(write(_Code(marker), make_checkpoint("tiny")))
    assert_refused(run, given, tmp_path / "gen.onnx", "given.pt: ")
    assert not marker.exists()

    torch.load(given, weights_only=False) if write is not _plain_pickle else pickle.loads(given.read_bytes())
    assert marker.exists(), "the file was harmless, so this test proved nothing"


def test_an_exported_file_is_no_checkpoint(run: Run, exported: Any, tmp_path: Path) -> None:
    made = exported("tiny")
    (tmp_path / "gen.ts").write_bytes(to_torchscript(made.deployable, made.config.z_dim))
    assert_refused(run, tmp_path / "gen.ts", tmp_path / "gen.onnx", "not a checkpoint")


def test_a_tampered_checkpoint_is_told_by_its_hash(make_checkpoint: Make, tmp_path: Path) -> None:
    """Weights that were altered and saved anew pass for a checkpoint; the exported file says of which it was made."""

    def tamper(state: dict[str, Any]) -> None:
        state["ema"][state["best_ema"]]["to_rgb.weight"].mul_(1.01)

    original, tampered = make_checkpoint("tiny"), make_checkpoint("tiny", tamper)
    for name, checkpoint in (("a", original), ("b", tampered)):
        export(checkpoint, tmp_path / name, licence="CC0")
    cards = [Generator(tmp_path / name).info.card for name in "ab"]
    hashes = [card.checkpoint_sha256 for card in cards if card is not None]
    assert hashes == [sha256(path.read_bytes()).hexdigest() for path in (original, tampered)]
    assert hashes[0] != hashes[1]


def test_a_flipped_bit_is_found(run: Run, make_checkpoint: Make, tmp_path: Path) -> None:
    data = bytearray(make_checkpoint("tiny").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "flipped.pt").write_bytes(data)
    assert_refused(run, tmp_path / "flipped.pt", tmp_path / "gen.onnx", "damaged")


def test_weights_that_overflow(run: Run, make_checkpoint: Make, tmp_path: Path) -> None:
    """All of them are finite, their sums are not."""
    checkpoint = make_checkpoint("tiny", lambda state: state["ema"][state["best_ema"]]["basis"].fill_(3e38))
    assert_refused(run, checkpoint, tmp_path / "gen.onnx", "its pictures are not finite")


@pytest.mark.parametrize("count", [float("inf"), float("nan"), -5, None])
def test_a_count_of_images_that_is_none(run: Run, make_checkpoint: Make, tmp_path: Path, count: Any) -> None:
    checkpoint = make_checkpoint("tiny", lambda state: state.update(cur_nimg=count))
    assert_refused(run, checkpoint, tmp_path / "gen.onnx", "damaged")


def test_names_with_bytes_that_are_no_text(make_checkpoint: Make, tmp_path: Path) -> None:
    """A folder's name may hold any byte; Python keeps it as half a surrogate, which no metadata can."""
    checkpoint = make_checkpoint("tiny", lambda state: state["data"].update(name="m\udcfcnchen"))
    export(checkpoint, tmp_path / "gen.onnx", licence="\udcff")
    card = Generator(tmp_path / "gen.onnx").info.card
    assert card is not None
    assert (card.dataset, card.licence) == (r"m\udcfcnchen", r"\udcff")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_pipes_are_neither_read_nor_replaced(run: Run, make_checkpoint: Make, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert_refused(run, pipe, tmp_path / "gen.onnx", "is a device or a pipe; give the checkpoint.pt")
    assert_refused(run, make_checkpoint("tiny"), pipe, "is a device or a pipe, which a file would replace", "--force")
    assert pipe.is_fifo()


def test_a_disk_that_cannot_be_read(make_checkpoint: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("exportface.source.sha256_of", fail)
    with pytest.raises(UserError, match=r"checkpoint\.pt: cannot be read \(Input/output error\)"):
        read_source(make_checkpoint("tiny"))


def test_a_full_disk_that_shows_when_the_file_is_synced(
    run: Run, make_checkpoint: Make, exported: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Delayed allocation: the write went well, the disk had no room."""
    monkeypatch.setattr(exportface.export, "to_onnx", lambda deployable, z_dim: exported("tiny").model)
    checkpoint = make_checkpoint("tiny")

    def fail(descriptor: int) -> None:
        raise NO_SPACE

    monkeypatch.setattr(os, "fsync", fail)
    code, stdout, stderr = run(checkpoint, "--out", tmp_path / "gen.onnx")
    assert (code, stdout, list(tmp_path.iterdir())) == (2, "", [])
    assert f"{tmp_path / 'gen.onnx'}: cannot be written (No space left on device)" in stderr


def stage_a_and_b(folder: Path) -> None:
    with staged([folder / "a", folder / "b"], force=True) as temporaries:
        for temporary in temporaries:
            write_staged(temporary, b"new", temporary)


@pytest.mark.parametrize("existing", [{}, {"a": b"old a"}, {"b": b"old b"}, {"a": b"old a", "b": b"old b"}])
@pytest.mark.parametrize("links", [True, False])
def test_where_one_file_cannot_have_its_name_no_file_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, existing: dict[str, bytes], links: bool
) -> None:
    """As when the second name is another user's, in a folder with the sticky bit."""
    for name, data in existing.items():
        (tmp_path / name).write_bytes(data)
    replace_file = Path.replace

    def refuse_b(path: Path, target: Path) -> Path:
        if path.suffix == ".part" and target.name == "b":
            raise PermissionError(1, "Operation not permitted")
        return replace_file(path, target)

    def refuse_links(path: Path, target: Path) -> None:
        raise PermissionError(1, "a file system without links")

    monkeypatch.setattr(Path, "replace", refuse_b)
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refuse_links)
    with pytest.raises(UserError, match=r"b: cannot be written \(Operation not permitted\); nothing was kept"):
        stage_a_and_b(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == existing


@pytest.mark.parametrize("links", [True, False])
def test_files_are_replaced_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:

        def refuse_links(path: Path, target: Path) -> None:
            raise PermissionError(1, "a file system without links")

        monkeypatch.setattr(Path, "hardlink_to", refuse_links)
    (tmp_path / "a").write_bytes(b"old")
    stage_a_and_b(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"new", "b": b"new"}


def test_a_replaced_file_is_never_without_a_name(tmp_path: Path) -> None:
    """Whoever opens it meanwhile finds the old or the new one."""
    path, missing, done = tmp_path / "a", [], threading.Event()
    path.write_bytes(b"0")

    def watch() -> None:
        while not done.is_set():
            if not path.exists():
                missing.append(True)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for turn in range(50):
            with staged([path], force=True) as (temporary,):
                write_staged(temporary, str(turn).encode(), path)
    finally:
        done.set()
        watcher.join()
    assert not missing


def assert_refused(run: Run, checkpoint: Path, out: Path, message: str, *options: object) -> None:
    before = {path.name for path in out.parent.iterdir()}
    code, stdout, stderr = run(checkpoint, "--out", out, *options)
    assert (code, stdout) == (2, "")
    assert stderr.startswith("exportface: error: ")
    assert stderr.count("\n") == 1
    assert message in stderr
    assert {path.name for path in out.parent.iterdir()} == before
