from __future__ import annotations

import errno
import io
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from genface import archive
from genface.archive import PREPARED_KIND, check_free, open_archive
from genface.errors import UserError


def write_one(path: Path, *, force: bool = False, data: bytes = b"new") -> None:
    with open_archive(path, force=force) as write:
        write("manifest.json", b'{"kind": "genface-archive"}')
        write("000000.png", data)


def content(path: Path) -> bytes:
    if path.is_dir():
        return (path / "000000.png").read_bytes()
    with zipfile.ZipFile(path) as opened:
        return opened.read("000000.png")


@pytest.mark.parametrize("name", ["faces.zip", "faces.ZIP", "faces", "a folder ü"])
def test_nothing_is_overwritten_unless_forced(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_one(path, data=b"old")
    with pytest.raises(UserError, match=r"exists already; .*--force"):
        write_one(path)
    assert content(path) == b"old"
    write_one(path, force=True)
    assert content(path) == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_an_empty_folder_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    write_one(tmp_path / "faces")
    assert content(tmp_path / "faces") == b"new"


@pytest.mark.parametrize("manifest", [None, b"{", b"[]", b'{"kind": "genface-dataset"}', b"[" * 200_000])
def test_force_spares_folders_that_are_not_ours(tmp_path: Path, manifest: bytes | None) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "wedding.jpg").write_bytes(b"irreplaceable")
    if manifest is not None:
        (photos / "manifest.json").write_bytes(manifest)
    with pytest.raises(UserError, match="this program has written"):
        write_one(photos, force=True)
    assert (photos / "wedding.jpg").read_bytes() == b"irreplaceable"


@pytest.mark.parametrize("stranger", ["notes.txt", "favourites/mine.png", "mine.png", "00001.png", "000001.png/a.png"])
def test_force_spares_what_was_added_to_our_folder(tmp_path: Path, stranger: str) -> None:
    write_one(tmp_path / "faces", data=b"old")
    mine = tmp_path / "faces" / stranger
    mine.parent.mkdir(exist_ok=True)
    mine.write_bytes(b"irreplaceable")
    with pytest.raises(UserError, match=rf"faces: holds {stranger.split('/')[0]}, which .*--force does not replace it"):
        write_one(tmp_path / "faces", force=True)
    assert mine.read_bytes() == b"irreplaceable"
    assert content(tmp_path / "faces") == b"old"


def test_force_replaces_one_kind_only(tmp_path: Path) -> None:
    """Drawn pictures can be drawn again; prepared photos may be the only ones that are left."""
    with open_archive(tmp_path / "photos", force=False, kind=PREPARED_KIND) as write:
        write("manifest.json", b'{"kind": "prepared-faces"}')
        write("000000.png", b"photo")
    with pytest.raises(UserError, match="no folder of genface-archive"):
        write_one(tmp_path / "photos", force=True)
    assert content(tmp_path / "photos") == b"photo"
    check_free(tmp_path / "photos", force=True, kind=PREPARED_KIND)
    write_one(tmp_path / "faces")
    with pytest.raises(UserError, match="no folder of prepared-faces"):
        check_free(tmp_path / "faces", force=True, kind=PREPARED_KIND)


@pytest.mark.parametrize("old", [None, b"old"])
def test_a_link_to_a_folder_is_followed(tmp_path: Path, old: bytes | None) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if old is None:
        (disk / "faces").mkdir()
    else:
        write_one(disk / "faces", data=old)
    (tmp_path / "link").symlink_to(disk / "faces")
    write_one(tmp_path / "link", force=old is not None)
    assert (tmp_path / "link").readlink() == disk / "faces"
    assert content(disk / "faces") == b"new"
    assert {entry.name for entry in (*tmp_path.iterdir(), *disk.iterdir())} == {"disk", "link", "faces"}


@pytest.mark.parametrize("name", ["faces.zip", "faces"])
def test_a_link_to_nothing_is_not_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to(tmp_path / "unplugged")
    with pytest.raises(UserError, match="exists already"):
        write_one(tmp_path / name)
    assert (tmp_path / name).is_symlink()


def test_force_replaces_a_link_to_a_zip_not_the_zip(tmp_path: Path) -> None:
    write_one(tmp_path / "old.zip", data=b"old")
    (tmp_path / "faces.zip").symlink_to(tmp_path / "old.zip")
    write_one(tmp_path / "faces.zip", force=True)
    assert (content(tmp_path / "old.zip"), content(tmp_path / "faces.zip")) == (b"old", b"new")


def test_a_mount_point_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == tmp_path / "disk")
    with pytest.raises(UserError, match=r"disk: is a mount point.*choose a folder inside it"):
        check_free(tmp_path / "disk", force=True)


def test_the_working_folder_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="the folder that this runs in"):
        check_free(Path("."), force=False)


def test_an_old_folder_that_cannot_be_removed_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_one(tmp_path / "faces", data=b"old")
    # Not by chmod: tests may run as root, whom permissions do not stop.
    unlink = os.unlink

    def refuse(path: Any, **options: Any) -> None:
        if str(path).endswith("000000.png"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        unlink(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        write_one(tmp_path / "faces", force=True)
    assert content(tmp_path / "faces") == b"new"


def test_a_zip_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[int, bool]] = []
    fsync = os.fsync

    def record(file: int) -> None:
        fsync(file)
        synced.append((os.fstat(file).st_size, (tmp_path / "faces.zip").exists()))

    monkeypatch.setattr(os, "fsync", record)
    write_one(tmp_path / "faces.zip")
    assert synced == [((tmp_path / "faces.zip").stat().st_size, False)]


def test_what_is_given_up_gets_no_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(archive, "_remove", lambda path: sizes.append(path.stat().st_size))
    given_up = open_archive(tmp_path / "faces.zip", force=False)
    write = given_up.__enter__()
    for index in range(100):
        write(f"{index:06d}.png", b"")
    assert not given_up.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    # Local headers of 30 bytes and names of 10, and the 22 bytes that end a .zip of nothing.
    assert sizes == [100 * 40 + 22]


def test_force_does_not_put_one_kind_in_place_of_the_other(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    (tmp_path / "folder.zip").mkdir()
    for name in ("file", "folder.zip"):
        with pytest.raises(UserError, match="--force does not replace it"):
            write_one(tmp_path / name, force=True)
    with pytest.raises(UserError, match="--force does not replace it"):
        write_one(Path(os.devnull), force=True)


def test_what_appears_meanwhile_is_spared(tmp_path: Path) -> None:
    path = tmp_path / "faces.zip"
    mine = open_archive(path, force=False)
    mine.__enter__()("000000.png", b"mine")
    path.write_bytes(b"another run's")
    with pytest.raises(UserError, match="exists already"):
        mine.__exit__(None, None, None)
    assert path.read_bytes() == b"another run's"
    assert [entry.name for entry in tmp_path.iterdir()] == ["faces.zip"]


@pytest.mark.parametrize("name", ["faces.tar", "faces.tar.gz", "faces.7z"])
def test_other_containers_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"\.zip files or folders"):
        write_one(tmp_path / name)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the folder .*nowhere does not exist"):
        write_one(tmp_path / "nowhere" / "faces.zip")


@pytest.mark.parametrize("name", ["faces.zip", "faces"])
def test_an_unwritable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    # Not by chmod: tests may run as root, whom permissions do not stop.
    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", "hidden temporary name")

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UserError, match=rf"{name}: cannot be written \(Permission denied\)"):
        write_one(tmp_path / name)


class FullDisk(io.BytesIO):
    """A file on a disk with room for `room` bytes, as what the archive opens."""

    room = 0

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("room", [0, 40, 200, 10_000, 10_100])
def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    def open_on_full_disk(path: Path, *_: Any, **__: Any) -> FullDisk:
        path.touch()
        file = FullDisk()
        file.room = room
        return file

    monkeypatch.setattr(Path, "open", open_on_full_disk)
    with pytest.raises(UserError, match="No space left on device"):
        write_one(tmp_path / "faces.zip", data=bytes(10_000))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_under_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(path: Path, data: bytes) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(UserError, match="No space left on device"):
        write_one(tmp_path / "faces")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_renamed_is_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "faces"
    write_one(path, data=b"old")
    rename = Path.rename

    def fail_for_new(self: Path, target: Path) -> Path:
        if self.name.endswith(".part"):
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_new)
    with pytest.raises(UserError, match="Input/output error"):
        write_one(path, force=True)
    assert content(path) == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["faces"]


def test_errors_of_others_pass_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), open_archive(tmp_path / "faces.zip", force=False):
        (tmp_path / "elsewhere").read_bytes()
    assert list(tmp_path.iterdir()) == []
    assert archive.is_zip(Path("x.ZIP"))
