"""Where pictures go: a .zip or a folder, complete under its name or not there at all."""

from __future__ import annotations

import json
import secrets
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from genface.errors import UserError
from genface.sources import MANIFEST

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
        self._file.close()

    def abandon(self) -> None:
        # Closing writes what is still in the buffers, which fails again on a full disk.
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
def open_archive(path: Path, *, force: bool) -> Iterator[Write]:
    """Open an archive for writing: a .zip when `path` ends so, else a folder.

    Everything is written under a temporary name beside `path`, which is renamed when the block ends well; when it does
    not, by whatever exception, nothing is left behind. `force` replaces a .zip, or a folder that was written by this.

    Raises UserError naming `path` when it exists, or cannot be written (missing folder, permissions, full disk).
    """
    check_free(path, force=force)
    temporary = _sibling(path, "part")
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
        check_free(path, force=force)  # another run may have finished under this name meanwhile
        with _naming(path):
            _put_in_place(temporary, path)
    except BaseException:
        if sink is not None:
            sink.abandon()
        _remove(temporary)
        raise


def check_free(path: Path, *, force: bool) -> None:
    """Raise UserError unless an archive can be opened under this name; for asking before the work, not after it."""
    if not is_zip(path) and path.suffix.lower() in _OTHER_CONTAINERS:
        raise UserError(f"{path}: archives are .zip files or folders; {path.suffix} is neither")
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist; make it first")
    if not path.exists() or (path.is_dir() and not is_zip(path) and not any(path.iterdir())):
        return
    if not force:
        raise UserError(f"{path}: exists already; choose another --out, or replace it by --force")
    if not (path.is_file() if is_zip(path) else _is_ours(path)):
        expected = "a .zip file" if is_zip(path) else "a folder that this program has written"
        raise UserError(f"{path}: is not {expected}, so --force does not replace it; choose another --out")


def _is_ours(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("kind") in (KIND, PREPARED_KIND)


def _put_in_place(temporary: Path, path: Path) -> None:
    if not path.is_dir():
        temporary.replace(path)
        return
    old = path.rename(_sibling(path, "old"))  # a folder cannot be replaced in one step
    try:
        temporary.rename(path)
    except BaseException:
        old.rename(path)
        raise
    shutil.rmtree(old)


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
