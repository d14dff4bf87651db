from __future__ import annotations

import errno
import os
import re
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from genface.archive import KIND, PREPARED_KIND, PictureNames, check_free, open_archive
from genface.containers import sink_type
from genface.errors import UserError
from genface.sources import open_source

NAMES = PictureNames(range(1))


def write_one(path: Path, *, force: bool = False, data: bytes = b"new", kind: str = KIND, keep: bool = False) -> None:
    with open_archive(path, manifest={"kind": kind}, names=NAMES, force=force, keep_unfinished=keep) as archive:
        archive.write("000000.png", data)


def content(path: Path) -> bytes:
    with open_source(path) as source:
        return source.read("000000.png")


@pytest.mark.parametrize("name", ["faces.zip", "faces.ZIP", "faces.tar", "faces", "a folder ü"])
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
    write_one(tmp_path / "photos", data=b"photo", kind=PREPARED_KIND)
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


@pytest.mark.parametrize("name", ["faces.zip", "faces.tar", "faces"])
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


@pytest.mark.parametrize("name", ["faces.zip", "faces.tar"])
def test_one_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The bytes first, then the rename; a folder's files are the system's to write out."""
    synced: list[tuple[int, bool]] = []
    fsync = os.fsync

    def record(file: int) -> None:
        fsync(file)
        synced.append((os.fstat(file).st_ino, (tmp_path / name).exists()))

    monkeypatch.setattr(os, "fsync", record)
    write_one(tmp_path / name)
    assert synced == [((tmp_path / name).stat().st_ino, False), (tmp_path.stat().st_ino, True)]
    synced.clear()
    write_one(tmp_path / "folder")
    assert synced == []


def test_a_folder_that_cannot_be_synced_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def refuse_folders(path: Any, flags: int, *more: Any) -> int:
        if Path(path) == tmp_path:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags, *more)

    monkeypatch.setattr(os, "open", refuse_folders)
    write_one(tmp_path / "faces.zip")
    assert content(tmp_path / "faces.zip") == b"new"


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
    mine = open_archive(path, manifest={"kind": KIND}, names=NAMES)
    mine.__enter__().write("000000.png", b"mine")
    path.write_bytes(b"another run's")
    with pytest.raises(UserError, match=r"exists already.*nothing was kept"):
        mine.__exit__(None, None, None)
    assert path.read_bytes() == b"another run's"
    assert [entry.name for entry in tmp_path.iterdir()] == ["faces.zip"]


@pytest.mark.parametrize("name", ["faces.tar.gz", "faces.tgz", "faces.7z", "face.png", "walk.mp4"])
def test_other_containers_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"\.zip or \.tar files, or folders; \.\w+ is none"):
        write_one(tmp_path / name)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the folder .*nowhere does not exist"):
        write_one(tmp_path / "nowhere" / "faces.zip")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
@pytest.mark.parametrize("name", ["faces.zip", "faces.tar", "faces"])
def test_a_place_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int) -> None:
    # Not by chmod: tests may run as root, whom permissions do not stop.
    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(code, os.strerror(code), "hidden temporary name")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        patch.setattr(os, "mkdir", refuse)
        reason = re.escape(os.strerror(code))
        with pytest.raises(UserError, match=rf"/{name}: cannot be written \({reason}\); nothing was changed$"):
            write_one(tmp_path / name, keep=True)
    assert list(tmp_path.iterdir()) == []


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let the kernel refuse to make any file longer, as it does on a full disk, in the middle of a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 20, 40, 200, 10_000, 10_100])
@pytest.mark.parametrize("name", ["faces.zip", "faces.tar", "faces"])
def test_a_file_that_cannot_grow_leaves_nothing(tmp_path: Path, name: str, room: int) -> None:
    if name == "faces" and room > 10_000:
        room = 9_999  # in a folder the picture has a file of its own
    with (
        pytest.raises(UserError, match=r"cannot be written \(File too large\); nothing was kept"),
        files_of_at_most(room),
    ):
        write_one(tmp_path / name, data=bytes(10_240))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["faces.zip", "faces.tar", "faces"])
def test_a_full_disk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def fill(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sink_type(tmp_path / name), "write", fill)
    with pytest.raises(UserError, match=rf"/{name}: .*No space left on device\); make room; nothing was kept"):
        write_one(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_renamed_is_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "faces"
    write_one(path, data=b"old")
    rename = Path.rename

    def fail_for_new(self: Path, target: Path) -> Path:
        if self.name.endswith(".tmp"):
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_new)
    with pytest.raises(UserError, match="Input/output error"):
        write_one(path, force=True)
    assert content(path) == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["faces"]


@pytest.mark.parametrize("name", ["faces.zip", "faces.tar", "faces"])
def test_errors_of_others_pass_through(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError), open_archive(tmp_path / name, manifest={"kind": KIND}, names=NAMES):
        (tmp_path / "elsewhere").read_bytes()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["faces.zip", "faces.tar", "faces"])
def test_what_a_killed_run_could_not_keep_is_replaced_in_silence(tmp_path: Path, name: str) -> None:
    """A prepared set is not resumed: the temporary file of a killed run goes when the next one begins."""
    killed = open_archive(tmp_path / name, manifest={"kind": KIND}, names=PictureNames(range(3)))
    killed.__enter__().write("000000.png", b"old")
    stale = tmp_path / f".{name}.tmp"
    copy = tmp_path / "copy"
    (shutil.copytree if stale.is_dir() else shutil.copy)(stale, copy)
    with suppress(KeyboardInterrupt):
        killed.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    copy.rename(stale)
    write_one(tmp_path / name)
    assert content(tmp_path / name) == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_the_pictures_are_those_that_were_promised(tmp_path: Path) -> None:
    """An archive that lacks one, or has them in another order, does not get the name."""
    names = PictureNames(range(2))

    def write(written: list[str]) -> None:
        with open_archive(tmp_path / "faces.zip", manifest={"kind": KIND}, names=names) as archive:
            for name in written:
                archive.write(name, b"")

    for written in ([], ["000000.png"], ["000001.png"], ["000000.png", "000001.png", "000002.png"]):
        with pytest.raises(AssertionError, match=r"pictures were written|next picture|too many"):
            write(written)
        assert list(tmp_path.iterdir()) == []


def test_names_beyond_six_digits() -> None:
    names = PictureNames(range(999_999, 1_000_001), "webp")
    assert [names[index] for index in range(len(names))] == ["999999.webp", "1000000.webp"]
    with pytest.raises(IndexError):
        names[2]
