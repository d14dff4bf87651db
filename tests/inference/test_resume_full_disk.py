"""When the disk is full, fails, or the place is taken meanwhile, what was drawn is kept."""

from __future__ import annotations

import errno
import os
import runpy
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genface.archive import PictureNames, open_archive
from genface.containers import sink_type
from genface.errors import UserError

stopped = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("stopped_archives.py"))))
ALL, MANIFEST, N, PICTURES = stopped.ALL, stopped.MANIFEST, stopped.N, stopped.PICTURES
begin, content, draw = stopped.begin, stopped.content, stopped.draw
pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


@pytest.fixture
def full_disk_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Fill the disk at the picture with this index, in the middle of writing it."""

    def fill(path: Path, index: int) -> None:
        sink = sink_type(path)
        write = sink.write

        def until_full(self: Any, name: str, data: bytes) -> None:
            if name == f"{index:06d}.png":
                if path.suffix:
                    self._file.write(data[:20])
                raise OSError(errno.ENOSPC, "No space left on device")
            write(self, name, data)

        monkeypatch.setattr(sink, "write", until_full)

    yield fill
    monkeypatch.undo()


@pytest.mark.parametrize("name", ALL)
def test_a_disk_that_is_full_twice(
    tmp_path: Path, uninterrupted: Path, monkeypatch: pytest.MonkeyPatch, full_disk_at: Any, name: str
) -> None:
    path = tmp_path / name
    message = (
        rf"/{name}: .*No space left on device\); make room; what was drawn is kept in .*part, and --resume goes on"
    )
    with monkeypatch.context():
        full_disk_at(path, 1)
        with pytest.raises(UserError, match=message):
            draw(path)
        monkeypatch.undo()
        full_disk_at(path, 3)
        with pytest.raises(UserError, match=message):
            draw(path, resume=True)
        monkeypatch.undo()
    assert draw(path, resume=True) == 3
    assert content(path) == content(uninterrupted / name)


def test_a_disk_that_is_full_at_the_end(tmp_path: Path, uninterrupted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All pictures are there, the directory is not."""

    def fill(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fill)
        with pytest.raises(UserError, match="make room; what was drawn is kept"):
            draw(tmp_path / "faces.zip")
    assert draw(tmp_path / "faces.zip", resume=True) == N
    assert content(tmp_path / "faces.zip") == content(uninterrupted / "faces.zip")


@pytest.mark.parametrize("name", ["faces.zip", "faces"])
def test_when_another_archive_takes_the_name_meanwhile(tmp_path: Path, uninterrupted: Path, name: str) -> None:
    """What was drawn is not thrown away; and `--resume --force` puts it in place."""

    def write() -> None:
        with open_archive(
            tmp_path / name, manifest=MANIFEST, names=PictureNames(range(N)), keep_unfinished=True
        ) as archive:
            draw(tmp_path / name, {**MANIFEST, "seed": 8}, keep_unfinished=False)
            for index in range(N):
                archive.write(f"{index:06d}.png", PICTURES[index])

    with pytest.raises(UserError, match=r"exists already.*what was drawn is kept in"):
        write()
    assert draw(tmp_path / name, resume=True, force=True) == N
    assert content(tmp_path / name) == content(uninterrupted / name)


@pytest.mark.parametrize("name", ALL)
def test_an_error_while_taking_up_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    part = begin(tmp_path / name, 2)
    before = content(part)

    def fail(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(sink_type(tmp_path / name), "take", fail)
        with pytest.raises(UserError, match=r"Input/output error\); nothing was changed"):
            draw(tmp_path / name, resume=True)
    assert content(part) == before
