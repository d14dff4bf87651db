"""Writers of one archive in several processes: killed by the system at any moment, and never two at a time."""

from __future__ import annotations

import errno
import json
import random
import runpy
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import Any

import pytest

from genface.archive import PictureNames, open_archive, unfinished_path
from genface.errors import UserError

stopped = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("stopped_archives.py"))))
ALL, MANIFEST = stopped.ALL, stopped.MANIFEST
begin, content, draw, encode = stopped.begin, stopped.content, stopped.draw, stopped.encode
pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

WRITER = """
import json, sys
from pathlib import Path
from genface.archive import PictureNames, open_archive
path, mode, manifest = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
pictures = json.loads(sys.stdin.readline())
names = PictureNames(range(len(pictures)))
print("ready", flush=True)
with open_archive(path, manifest=manifest, names=names, resume=True, keep_unfinished=True) as archive:
    print(archive.recovered, flush=True)
    for index in range(archive.recovered, len(pictures)):
        archive.write(names[index], bytes.fromhex(pictures[index]))
        print(index, flush=True)
        if mode == "wait" and index == 9:
            sys.stdin.read()
"""
PICTURE_LIST = json.dumps([encode(index).hex() for index in range(400)])


def start_writer(path: Path, mode: str) -> subprocess.Popen[str]:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), mode, json.dumps(MANIFEST)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdin is not None
    writer.stdin.write(PICTURE_LIST + "\n")
    writer.stdin.flush()
    return writer


@pytest.mark.parametrize("name", ALL)
def test_killed_by_the_system_at_random_moments(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    draw(tmp_path / f"whole-{name}", n=400)
    moments = random.Random(name)
    written = 0
    for _ in range(5):
        if path.exists():  # the kill came too late: it had finished
            break
        with start_writer(path, "run") as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            assert int(writer.stdout.readline()) >= written  # what was written is there, whatever came after
            for _ in range(moments.randrange(40)):
                written = int(writer.stdout.readline() or 399) + 1
            writer.kill()  # while it writes one of the next
    if not path.exists():
        draw(path, n=400, resume=True)
    assert content(path) == content(tmp_path / f"whole-{name}")


@pytest.mark.parametrize("name", ALL)
def test_a_second_process_is_refused(tmp_path: Path, name: str) -> None:
    with start_writer(tmp_path / name, "wait") as writer:
        assert writer.stdout is not None
        assert [writer.stdout.readline() for _ in range(12)][-1] == "9\n"
        before = content(unfinished_path(tmp_path / name))
        for ways in ({}, {"resume": True}, {"force": True}):
            with pytest.raises(UserError, match=r"another process is writing this archive.*choose another --out"):
                draw(tmp_path / name, n=400, **ways)
        assert content(unfinished_path(tmp_path / name)) == before
        writer.kill()
    assert draw(tmp_path / name, n=400, resume=True) == 10  # the lock ends with the process, whatever ends it


@pytest.mark.parametrize("name", ALL)
def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    begin(tmp_path / name, 2)
    assert draw(tmp_path / name, resume=True) == 2


def test_what_was_renamed_while_it_was_locked_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process finishes between our opening and our locking: that file has its final name by now."""
    import fcntl

    part = begin(tmp_path / "faces.zip", 2)
    flock = fcntl.flock
    elsewhere = tmp_path / "finished by another"

    def rename_first(*arguments: Any) -> None:
        if not elsewhere.exists():
            part.rename(elsewhere)
        flock(*arguments)

    before = part.read_bytes()
    monkeypatch.setattr(fcntl, "flock", rename_first)
    assert draw(tmp_path / "faces.zip", resume=True) == 0
    assert elsewhere.read_bytes() == before


def test_threads_of_one_process_lock_each_other_out(tmp_path: Path) -> None:
    """A lock belongs to an opened file, not to the process."""
    refused: list[str] = []

    def try_it() -> None:
        try:
            draw(tmp_path / "faces.zip", resume=True)
        except UserError as error:
            refused.append(str(error))

    with open_archive(tmp_path / "faces.zip", manifest=MANIFEST, names=PictureNames(range(0)), keep_unfinished=True):
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
    assert len(refused) == 1
