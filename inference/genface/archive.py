"""Where pictures go: a .zip or a folder, complete under its name or not there at all.

For a .zip that holds through a power loss too; the files of a folder are left to the system to write out, since
syncing each of them would take longer than drawing it.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from genface.errors import UserError
from genface.sources import MANIFEST
from genface.strict_json import parse_json

KIND = "genface-archive"
"""The manifest's `kind` of drawn pictures."""
PREPARED_KIND = "prepared-faces"
"""The manifest's `kind` of a prepared data set."""
FORMAT_VERSION = 1

Write = Callable[[str, bytes], None]
"""Adds one file, by its name inside the archive."""

# The earliest date that a .zip can state: equal commands give equal bytes.
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_BUFFER_BYTES = 1 << 20
_PICTURE_NAME = re.compile(r"\d{6,}\.png")
# Endings of other containers: a folder of such a name would be a surprise.
_OTHER_CONTAINERS = {".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zst"}


class _Sink(Protocol):
    def write(self, name: str, data: bytes) -> None: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...


class _ZipSink:
    """A .zip, stored, not deflated: the pictures are compressed already."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=_BUFFER_BYTES)
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_STORED)

    def write(self, name: str, data: bytes) -> None:
        entry = zipfile.ZipInfo(name, _ZIP_DATE)
        entry.create_system = 3  # Unix, on every system
        entry.external_attr = 0o644 << 16
        self._zip.writestr(entry, data)

    def close(self) -> None:
        self._zip.close()
        self._file.flush()
        os.fsync(self._file.fileno())  # a rename may reach the disk before the bytes do
        self._file.close()

    def abandon(self) -> None:
        # Closing writes the directory, which nobody will read: it is emptied first. Closing also writes what is still
        # in the buffers, which fails again on a full disk.
        self._zip.infolist().clear()
        with suppress(OSError):
            self._zip.close()
        with suppress(OSError):
            self._file.close()


class _FolderSink:
    def __init__(self, path: Path) -> None:
        path.mkdir()
        self._path = path

    def write(self, name: str, data: bytes) -> None:
        (self._path / name).write_bytes(data)

    def close(self) -> None: ...

    def abandon(self) -> None: ...


def is_zip(path: Path) -> bool:
    """Whether an archive of this name is a .zip; else it is a folder."""
    return path.suffix.lower() == ".zip"


@contextmanager
def open_archive(path: Path, *, force: bool, kind: str = KIND) -> Iterator[Write]:
    """Open an archive for writing: a .zip when `path` ends so, else a folder; a link to a folder is followed.

    Everything is written under a temporary name beside `path`, which is renamed when the block ends well; when it does
    not, by whatever exception, nothing is left behind. `force` replaces a .zip, or a folder that holds what this
    program writes and nothing else: a manifest of this `kind`, and pictures named by their indices.

    Memory: about 0.4 kB per picture for a .zip (its directory), flat for a folder.

    Raises UserError naming `path` when it exists, or cannot be written (missing folder, permissions, full disk).
    """
    check_free(path, force=force, kind=kind)
    place = path.resolve() if path.is_dir() else path  # a folder is renamed where it is, not where a link to it is
    temporary = _sibling(place, "part")
    sink: _Sink | None = None
    try:
        with _naming(path):
            sink = _ZipSink(temporary) if is_zip(path) else _FolderSink(temporary)
        write_file = sink.write

        def write(name: str, data: bytes) -> None:
            with _naming(path):
                write_file(name, data)

        yield write
        with _naming(path):
            sink.close()
        check_free(path, force=force, kind=kind)  # another run may have finished under this name meanwhile
        with _naming(path):
            replaced = _put_in_place(temporary, place)
    except BaseException:
        if sink is not None:
            sink.abandon()
        _remove(temporary)
        raise
    if replaced is not None:
        _remove(replaced)  # the archive is in its place: what goes wrong from here on is no failure of it


def check_free(path: Path, *, force: bool, kind: str = KIND) -> None:
    """Raise UserError unless an archive can be opened under this name; for asking before the work, not after it.

    `kind` is the manifest's kind of the folders that `force` replaces.
    """
    if not is_zip(path) and path.suffix.lower() in _OTHER_CONTAINERS:
        raise UserError(f"{path}: archives are .zip files or folders; {path.suffix} is neither")
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist; make it first")
    if not os.path.lexists(path):  # a link to nothing is something
        return
    if path.is_dir() and not is_zip(path):
        if os.path.ismount(path.resolve()) or path.resolve() == Path.cwd():
            what = "a mount point" if os.path.ismount(path.resolve()) else "the folder that this runs in"
            raise UserError(f"{path}: is {what}, which cannot be replaced as a whole; choose a folder inside it")
        if not any(path.iterdir()):
            return
    if not force:
        raise UserError(f"{path}: exists already; choose another --out, or replace it by --force")
    if (reason := _why_spared(path, kind)) is not None:
        raise UserError(f"{path}: {reason}, so --force does not replace it; choose another --out")


def _why_spared(path: Path, kind: str) -> str | None:
    """Why `force` does not replace what is there; None when it does."""
    if is_zip(path):
        return None if path.is_file() or not path.exists() else "is not a .zip file"
    try:
        manifest = parse_json((path / MANIFEST).read_bytes())
    except (OSError, ValueError):
        manifest = None
    if not isinstance(manifest, dict) or manifest.get("kind") != kind:
        return f"is no folder of {kind} that this program has written"
    for entry in sorted(path.iterdir()):
        named_like_ours = entry.name == MANIFEST or _PICTURE_NAME.fullmatch(entry.name)
        if not named_like_ours or entry.is_symlink() or not entry.is_file():
            return f"holds {entry.name}, which this program has not written"
    return None


def _put_in_place(temporary: Path, place: Path) -> Path | None:
    """Rename a finished archive; gives the folder that had its name, to be removed, if there was one."""
    if not place.is_dir():
        temporary.replace(place)
        return None
    if not any(place.iterdir()):
        place.rmdir()
        temporary.rename(place)
        return None
    old = place.rename(_sibling(place, "old"))  # a folder cannot be replaced in one step
    try:
        temporary.rename(place)
    except BaseException:
        old.rename(place)
        raise
    return old


def _sibling(path: Path, ending: str) -> Path:
    return path.parent / f".{path.name}.{secrets.token_hex(4)}.{ending}"


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn an OSError into a UserError that names the archive, not its temporary file."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}); nothing was kept") from error
