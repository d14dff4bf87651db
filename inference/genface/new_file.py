"""One new file, complete under its name or not there at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from genface.errors import UserError

_FULL_DISK = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def new_file(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; renamed when the block ends well, else removed.

    Raises UserError naming `path` when it exists and not `force`, or cannot be written (see `check_new_file`).
    """
    check_new_file(path, force=force)
    temporary = path.absolute().parent / f".{path.name}.{secrets.token_hex(4)}.part"
    try:
        with _naming(path):
            yield temporary
            _sync(temporary)
        check_new_file(path, force=force)  # another run may have finished under this name meanwhile
        with _naming(path):
            temporary.replace(path)
        sync_folder(path.absolute().parent)
    finally:
        with suppress(OSError):  # of a disk that is read-only; what went wrong before is told instead
            temporary.unlink(missing_ok=True)


def check_new_file(path: Path, *, force: bool) -> None:
    """Raise UserError unless a file can be made under this name; for asking before the work, not after it."""
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist; make it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UserError(f"{path}: the folder {path.parent} cannot be written into; choose another --out")
    if not os.path.lexists(path):  # a link to nothing is something
        return
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: is not a file that could be replaced; choose another --out")
    if not force:
        raise UserError(f"{path}: exists already; choose another --out, or replace it by --force")


def _sync(path: Path) -> None:
    """Wait until the bytes are on the disk: a rename may reach it before they do."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Bring a rename to the disk, where the system can: it is in its place already, so failing is no failure."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def unwritable(path: Path, error: OSError, outcome: str) -> UserError:
    """The error that names a file, not its temporary one, and tells what was kept."""
    room = "; make room" if error.errno in _FULL_DISK else ""
    return UserError(f"{path}: cannot be written ({error.strerror or error}){room}; {outcome}")


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unwritable(path, error, "nothing was kept") from error
