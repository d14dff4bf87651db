"""Killed at any byte: what is taken up again and finished is what one run would have written."""

from __future__ import annotations

import errno
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from genface.archive import KIND, PREPARED_KIND, Archive, PictureNames, check_free, open_archive, unfinished_path
from genface.containers import sink_type
from genface.errors import UserError
from genface.resume import differences
from genface.sources import open_source

N = 4
MANIFEST: dict[str, Any] = {"kind": KIND, "model_sha256": "ab" * 32, "seed": 7, "versions": {"numpy": "2.0"}}
ALL = ["faces.zip", "faces.tar", "faces"]


def encode(index: int, kind: str = "png") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), (index % 256, 40 * index % 256, 7)).save(data, kind)
    return data.getvalue()


PICTURES = [encode(index) for index in range(N)]


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda file: None)  # hundreds of archives are finished here


def draw(
    path: Path, manifest: Mapping[str, Any] = MANIFEST, *, n: int = N, stop: int | None = None, **ways: bool
) -> int:
    """Write n pictures, or be stopped before number `stop`; gives how many were recovered."""
    names = PictureNames(range(n))
    ways = {"keep_unfinished": True, **ways}
    with open_archive(path, manifest=manifest, names=names, **ways) as archive:
        for index in range(archive.recovered, n):
            if index == stop:
                raise KeyboardInterrupt
            archive.write(names[index], encode(index))
    return archive.recovered


def begin(path: Path, stop: int, **options: Any) -> Path:
    """Leave an unfinished archive with `stop` pictures; gives its hidden name."""
    with pytest.raises(KeyboardInterrupt):
        draw(path, stop=stop, **options)
    return unfinished_path(path)


def content(path: Path) -> bytes | dict[str, bytes]:
    """Everything that can be seen of an archive."""
    return path.read_bytes() if path.is_file() else {entry.name: entry.read_bytes() for entry in path.iterdir()}


def names_in(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    """A folder with the uninterrupted archive in its three forms."""
    folder = tmp_path / "reference"
    folder.mkdir()
    for name in ALL:
        draw(folder / name)
    return folder


# --- stopped between two pictures


@pytest.mark.parametrize("stop", range(1, N))
@pytest.mark.parametrize("name", ALL)
def test_stopped_and_finished(tmp_path: Path, reference: Path, name: str, stop: int) -> None:
    path = tmp_path / name
    part = begin(path, stop)
    assert part == tmp_path / f".{name}.part"
    assert names_in(tmp_path) == {part.name, "reference"}
    assert draw(path, resume=True) == stop
    assert content(path) == content(reference / name)
    assert names_in(tmp_path) == {name, "reference"}


@pytest.mark.parametrize("name", ALL)
def test_stopped_again_and_again(tmp_path: Path, reference: Path, name: str) -> None:
    path = tmp_path / name
    begin(path, 1)
    for stop in range(2, N):
        begin(path, stop, resume=True)
    assert draw(path, resume=True) == N - 1
    assert content(path) == content(reference / name)


@pytest.mark.parametrize("name", ALL)
def test_stopped_before_the_first_picture_leaves_nothing(tmp_path: Path, name: str) -> None:
    """There is nothing to go on from, so the next run is not bothered with it."""
    begin(tmp_path / name, 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ALL)
def test_nothing_to_resume_is_a_new_archive(tmp_path: Path, reference: Path, name: str) -> None:
    assert draw(tmp_path / name, resume=True) == 0
    assert content(tmp_path / name) == content(reference / name)


@pytest.mark.parametrize("name", ALL)
def test_what_cannot_be_kept_is_not(tmp_path: Path, name: str) -> None:
    begin(tmp_path / name, 2, keep_unfinished=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ALL)
def test_other_archives_leave_the_unfinished_one_alone(tmp_path: Path, reference: Path, name: str) -> None:
    """A merge or a prepared set under the same name does not cost anybody the hours that were drawn."""
    part = begin(tmp_path / name, 2)
    before = content(part)
    draw(tmp_path / name, {"kind": PREPARED_KIND}, keep_unfinished=False)
    assert content(part) == before


# --- killed at any byte


@pytest.mark.parametrize("name", ["faces.zip", "faces.tar"])
def test_cut_off_at_any_byte(tmp_path: Path, reference: Path, name: str) -> None:
    """In the middle of a head, a name, a check sum, a picture, a block, the directory, or between two of them."""
    whole = (reference / name).read_bytes()
    path, part = tmp_path / name, tmp_path / f".{name}.part"
    every = 1 if name.endswith(".zip") else 61  # prime to 512, so all places in a block come up; and its borders
    borders = {offset + step for offset in range(0, len(whole), 512) for step in (-1, 0, 1)}
    recovered = set()
    for length in sorted({*range(0, len(whole) + 1, every), *borders, len(whole)} & set(range(len(whole) + 1))):
        part.write_bytes(whole[:length])
        recovered.add(draw(path, resume=True))
        assert path.read_bytes() == whole, f"cut off at byte {length}"
        assert not part.exists()
        path.unlink()
    assert recovered == set(range(N + 1))


@pytest.mark.parametrize("name", ["faces.zip", "faces.tar"])
def test_any_byte_damaged(tmp_path: Path, reference: Path, name: str) -> None:
    """After a power loss: the archive is finished as it should be, or the damage is named; never in silence."""
    whole = (reference / name).read_bytes()
    path, part = tmp_path / name, tmp_path / f".{name}.part"
    refusals: dict[int, str] = {}
    finished = 0
    for at in range(0, len(whole), 1 if name.endswith(".zip") else 37):
        part.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        try:
            draw(path, resume=True)
        except UserError as error:
            refusals[at] = str(error)
            continue
        assert path.read_bytes() == whole, f"damaged at byte {at}"
        path.unlink()
        finished += 1
    assert finished > 100
    assert all(str(part) in message for message in refusals.values())
    assert max(refusals) < 1100  # in front of the pictures: the manifest and its head


@pytest.mark.parametrize(
    "tail", [b"\0" * 5000, b"PK\3\4" + b"\xff" * 99, b"PK\1\2", b"000002.png", bytes(range(256)) * 9]
)
@pytest.mark.parametrize("name", ["faces.zip", "faces.tar"])
def test_rubbish_at_the_end(tmp_path: Path, reference: Path, name: str, tail: bytes) -> None:
    part = begin(tmp_path / name, 2)
    with part.open("ab") as file:
        file.write(tail)
    assert draw(tmp_path / name, resume=True) == 2
    assert content(tmp_path / name) == content(reference / name)


@pytest.mark.parametrize("length", [0, 1, 8, 40, len(PICTURES[2]) - 1])
def test_a_folder_with_part_of_a_picture(tmp_path: Path, reference: Path, length: int) -> None:
    part = begin(tmp_path / "faces", 3)
    (part / "000002.png").write_bytes(PICTURES[2][:length])
    assert draw(tmp_path / "faces", resume=True) == 2
    assert content(tmp_path / "faces") == content(reference / "faces")


@pytest.mark.parametrize("damage", ["gone", "empty", "zeros", "longer"])
def test_a_folder_with_a_damaged_picture_in_its_middle(tmp_path: Path, reference: Path, damage: str) -> None:
    """A power loss may cost an earlier picture than the last one; all from there on are drawn again."""
    part = begin(tmp_path / "faces", 3)
    picture = part / "000001.png"
    damaged = {"empty": b"", "zeros": bytes(len(PICTURES[1])), "longer": PICTURES[1] + b"more"}
    if damage == "gone":
        picture.unlink()
    else:
        picture.write_bytes(damaged[damage])
    assert draw(tmp_path / "faces", resume=True) == 1
    assert content(tmp_path / "faces") == content(reference / "faces")


@pytest.mark.parametrize("manifest", [b"", b"{", None])
def test_a_folder_killed_in_its_manifest(tmp_path: Path, reference: Path, manifest: bytes | None) -> None:
    part = tmp_path / ".faces.part"
    part.mkdir()
    if manifest is not None:
        (part / "manifest.json").write_bytes(manifest)
    assert draw(tmp_path / "faces", resume=True) == 0
    assert content(tmp_path / "faces") == content(reference / "faces")


def test_a_folder_with_a_stray_temporary_file(tmp_path: Path, reference: Path) -> None:
    part = begin(tmp_path / "faces", 2)
    (part / ".000002.png.tmp").write_bytes(b"half")
    assert draw(tmp_path / "faces", resume=True) == 2
    assert content(tmp_path / "faces") == content(reference / "faces")


@pytest.mark.parametrize("damage", ["short", "zeros"])
@pytest.mark.parametrize("kind", ["jpeg", "webp"])
@pytest.mark.parametrize("name", ["faces.tar", "faces"])
def test_other_pictures_are_checked_too(tmp_path: Path, name: str, kind: str, damage: str) -> None:
    """These two forms of archives state no check sums of what they hold."""
    pictures = [encode(index, kind) for index in range(3)]
    damaged = pictures[2][:-1] if damage == "short" else bytes(len(pictures[2]))
    names = PictureNames(range(3), {"jpeg": "jpg"}.get(kind, kind))

    def write(path: Path, last: bytes, **ways: bool) -> Archive:
        with open_archive(path, manifest=MANIFEST, names=names, keep_unfinished=True, **ways) as archive:
            for index, data in list(enumerate([*pictures[:2], last]))[archive.recovered :]:
                archive.write(names[index], data)
        return archive

    write(tmp_path / name, damaged)
    (tmp_path / name).rename(unfinished_path(tmp_path / name))
    assert write(tmp_path / name, pictures[2], resume=True).recovered == 2
    with open_source(tmp_path / name) as source:
        assert source.read(names[2]) == pictures[2]


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


# --- one writer at a time


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


# --- without --resume, and with --force


@pytest.mark.parametrize("name", ALL)
def test_an_unfinished_archive_is_not_lost_by_a_forgotten_option(tmp_path: Path, name: str) -> None:
    part = begin(tmp_path / name, 3)
    before = content(part)
    message = rf"/{name}: was begun already, and .*/\.{name}\.part holds 3 of its pictures.*--resume.*--force"
    with pytest.raises(UserError, match=message):
        draw(tmp_path / name, {**MANIFEST, "seed": 8}, n=2)
    assert content(part) == before


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("name", ALL)
def test_force_starts_anew(tmp_path: Path, name: str, resume: bool) -> None:
    """Also in place of another drawing that cannot be resumed."""
    begin(tmp_path / name, 3)
    other = {**MANIFEST, "seed": 8}
    draw(tmp_path / f"other-{name}", other, n=2)
    assert draw(tmp_path / name, other, n=2, force=True, resume=resume) == 0
    assert content(tmp_path / name) == content(tmp_path / f"other-{name}")


@pytest.mark.parametrize("name", ALL)
def test_the_old_archive_stays_until_the_new_one_is_finished(tmp_path: Path, reference: Path, name: str) -> None:
    other = {**MANIFEST, "seed": 8}
    draw(tmp_path / name, other)
    old = content(tmp_path / name)
    begin(tmp_path / name, 2, force=True)
    assert content(tmp_path / name) == old
    with pytest.raises(UserError, match=r"exists already, and is of another drawing \(seed 8 there, 7 wanted\)"):
        draw(tmp_path / name, resume=True)
    assert draw(tmp_path / name, resume=True, force=True) == 2
    assert content(tmp_path / name) == content(reference / name)


# --- of another drawing


@pytest.mark.parametrize("name", ALL)
def test_an_unfinished_archive_of_another_drawing(tmp_path: Path, name: str) -> None:
    part = begin(tmp_path / name, 2)
    before = content(part)
    other = {**MANIFEST, "model_sha256": "cd" * 32, "seed": 8, "versions": {"numpy": "2.1"}, "truncation": 0.5}
    with pytest.raises(UserError, match=r"cannot be resumed.*2 pictures, is of another drawing") as caught:
        draw(tmp_path / name, other, resume=True)
    for difference in (
        f'model_sha256 "{"ab" * 32}" there, "{"cd" * 32}" wanted',
        "seed 7 there, 8 wanted",
        'versions.numpy "2.0" there, "2.1" wanted',
        "truncation nothing there, 0.5 wanted",
        str(part),
    ):
        assert difference in str(caught.value)
    assert content(part) == before


def test_differences_are_those_of_the_values() -> None:
    assert differences({"a": 1, "b": {"c": [1, 2]}}, {"b": {"c": [1, 2]}, "a": 1}) == ""
    assert differences({"a": 1}, {"a": 1.5}) == "a 1 there, 1.5 wanted"
    assert differences({"b": {"c": 1}}, {"b": None}) == "b nothing there, null wanted, b.c 1 there, nothing wanted"


def test_a_manifest_of_another_layout(tmp_path: Path) -> None:
    """Equal values in other bytes: the finished archive would not be what one run writes."""
    part = begin(tmp_path / "faces", 2)
    (part / "manifest.json").write_text(json.dumps(MANIFEST))
    with pytest.raises(UserError, match="written by another version"):
        draw(tmp_path / "faces", resume=True)


@pytest.mark.parametrize("manifest", [b"", b"{", b"[]", b"[" * 200_000, b"\xff\xfe", b'{"seed": NaN}'])
def test_a_damaged_manifest_in_front_of_pictures(tmp_path: Path, manifest: bytes) -> None:
    part = begin(tmp_path / "faces", 2)
    (part / "manifest.json").write_bytes(manifest)
    with pytest.raises(UserError, match=r"\.faces\.part, with 2 pictures, has a damaged manifest\.json.*--force"):
        draw(tmp_path / "faces", resume=True)
    assert draw(tmp_path / "faces", resume=True, force=True) == 0


# --- finished already


@pytest.mark.parametrize("name", ALL)
def test_a_finished_archive_is_complete(tmp_path: Path, name: str) -> None:
    draw(tmp_path / name)
    before, status = content(tmp_path / name), (tmp_path / name).stat()
    check_free(tmp_path / name, force=False, resume=True)
    for force in (False, True):
        ways = {"resume": True, "force": force, "keep_unfinished": True}
        with open_archive(tmp_path / name, manifest=MANIFEST, names=PictureNames(range(N)), **ways) as archive:
            assert archive.complete
            assert archive.recovered == N
    assert content(tmp_path / name) == before
    assert (tmp_path / name).stat() == status
    assert names_in(tmp_path) == {name}


@pytest.mark.parametrize("name", ALL)
def test_all_drawn_but_not_finished_is_not_complete(tmp_path: Path, reference: Path, name: str) -> None:
    """Killed in the directory of a .zip, or before the rename: there is nothing to draw, yet something to do."""
    begin(tmp_path / name, N - 1)
    (reference / name).rename(tmp_path / "whole")
    part = unfinished_path(tmp_path / name)
    if part.is_dir():
        shutil.rmtree(part)
        shutil.copytree(tmp_path / "whole", part)
    else:
        part.write_bytes((tmp_path / "whole").read_bytes()[:-5])
    with open_archive(
        tmp_path / name, manifest=MANIFEST, names=PictureNames(range(N)), resume=True, keep_unfinished=True
    ) as archive:
        assert (archive.complete, archive.recovered) == (False, N)
    assert content(tmp_path / name) == content(tmp_path / "whole")


@pytest.mark.parametrize("name", ALL)
def test_a_finished_archive_of_another_drawing_is_never_overwritten(tmp_path: Path, name: str) -> None:
    draw(tmp_path / name)
    before = content(tmp_path / name)
    with pytest.raises(
        UserError, match=rf"/{name}: exists already, and is of another drawing \(seed 7 there, 8 wanted\)"
    ):
        draw(tmp_path / name, {**MANIFEST, "seed": 8}, resume=True)
    assert content(tmp_path / name) == before
    assert names_in(tmp_path) == {name}


@pytest.mark.parametrize("name", ALL)
def test_resuming_over_somebody_elses_files(tmp_path: Path, name: str) -> None:
    mine = tmp_path / name
    if name == "faces":
        mine.mkdir()
        (mine / "wedding.jpg").write_bytes(b"irreplaceable")
    else:
        mine.write_bytes(b"irreplaceable")
    before = content(mine)
    with pytest.raises(UserError, match=rf"/{name}: exists already, and is no archive of this program"):
        draw(mine, resume=True)
    assert content(mine) == before


def test_a_finished_folder_that_lacks_a_picture(tmp_path: Path) -> None:
    draw(tmp_path / "faces")
    (tmp_path / "faces" / "000002.png").unlink()
    with pytest.raises(UserError, match=r"is damaged: it lacks 000002\.png.*--force"):
        draw(tmp_path / "faces", resume=True)
    assert draw(tmp_path / "faces", resume=True, force=True) == 0


# --- something else under the hidden name


@pytest.mark.parametrize("ways", [{}, {"resume": True}, {"force": True}], ids=str)
@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("what", ["other kind", "link", "link to nothing", "pipe", "text", "photos"])
def test_what_is_not_ours_under_the_hidden_name(tmp_path: Path, name: str, what: str, ways: dict[str, bool]) -> None:
    part = unfinished_path(tmp_path / name)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "wedding.jpg").write_bytes(b"irreplaceable")
    (mine / "diary").write_bytes(b"irreplaceable too")
    target = mine if name == "faces" else mine / "diary"
    if what == "link":
        part.symlink_to(target)
    elif what == "link to nothing":
        part.symlink_to(tmp_path / "unplugged")
    elif what == "pipe":
        os.mkfifo(part)
    elif (what == "photos") == (name == "faces"):
        shutil.copytree(mine, part) if name == "faces" else part.write_text("my own notes")
    elif name == "faces":
        part.write_text("my own notes")
    else:
        part.mkdir()
    before = content(part) if what not in ("pipe", "link to nothing") else None
    with pytest.raises(UserError, match=rf"{re.escape(str(part))}: is no unfinished archive of this program.*move"):
        draw(tmp_path / name, **ways)
    assert names_in(mine) == {"wedding.jpg", "diary"}
    assert (mine / "diary").read_bytes() == b"irreplaceable too"
    assert not (tmp_path / "unplugged").exists()
    assert before is None or content(part) == before


def test_links_inside_an_unfinished_folder_are_not_followed(tmp_path: Path) -> None:
    part = begin(tmp_path / "faces", 2)
    mine = tmp_path / "mine.png"
    mine.write_bytes(b"irreplaceable")
    (part / "000002.png").symlink_to(mine)
    for ways in ({"resume": True}, {"force": True}):
        with pytest.raises(UserError, match=r"holds 000002\.png"):
            draw(tmp_path / "faces", **ways)
    assert mine.read_bytes() == b"irreplaceable"


def test_a_link_that_appears_in_an_unfinished_folder_meanwhile(tmp_path: Path) -> None:
    mine = tmp_path / "mine.png"
    mine.write_bytes(b"irreplaceable")
    names = PictureNames(range(1))

    def write() -> None:
        with open_archive(tmp_path / "faces", manifest=MANIFEST, names=names, keep_unfinished=True) as archive:
            (unfinished_path(tmp_path / "faces") / "000000.png").symlink_to(mine)
            archive.write("000000.png", PICTURES[0])

    with pytest.raises(UserError, match="cannot be written"):
        write()
    assert mine.read_bytes() == b"irreplaceable"


def test_a_picture_that_was_added_does_not_get_into_the_archive(tmp_path: Path, reference: Path) -> None:
    part = begin(tmp_path / "faces", 2)
    (part / "000099.png").write_bytes(PICTURES[0])
    with pytest.raises(UserError, match=r"holds 6 files, not the 5 of the archive.*kept in .*\.faces\.part.*--resume"):
        draw(tmp_path / "faces", resume=True)
    (part / "000099.png").unlink()
    assert draw(tmp_path / "faces", resume=True) == N
    assert content(tmp_path / "faces") == content(reference / "faces")


# --- when the disk is full, or the place is taken


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
    tmp_path: Path, reference: Path, monkeypatch: pytest.MonkeyPatch, full_disk_at: Any, name: str
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
    assert content(path) == content(reference / name)


def test_a_disk_that_is_full_at_the_end(tmp_path: Path, reference: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All pictures are there, the directory is not."""

    def fill(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fill)
        with pytest.raises(UserError, match="make room; what was drawn is kept"):
            draw(tmp_path / "faces.zip")
    assert draw(tmp_path / "faces.zip", resume=True) == N
    assert content(tmp_path / "faces.zip") == content(reference / "faces.zip")


@pytest.mark.parametrize("name", ["faces.zip", "faces"])
def test_when_another_archive_takes_the_name_meanwhile(tmp_path: Path, reference: Path, name: str) -> None:
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
    assert content(tmp_path / name) == content(reference / name)


def test_an_unfinished_folder_lies_beside_the_folder_itself_not_beside_a_link_to_it(
    tmp_path: Path, reference: Path
) -> None:
    """A rename must stay on one disk."""
    disk = tmp_path / "disk"
    (disk / "faces").mkdir(parents=True)
    (tmp_path / "link").symlink_to(disk / "faces")
    assert begin(tmp_path / "link", 2) == disk / ".faces.part"
    assert draw(tmp_path / "link", resume=True) == 2
    assert content(disk / "faces") == content(reference / "faces")


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
