"""One writer at a time: an unfinished archive is locked by the process that writes it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from genface.errors import UserError

# What opening gives for a link, for a folder in place of a file, and for the reverse.
_WRONG_KIND = {errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.ENOTDIR}


@contextmanager
def claim(part: Path, *, folder: bool) -> Iterator[None]:
    """Make the file (or `folder`) `part` unless it is there, and hold its lock, which ends with the process.

    Links are not followed. Where the system or the file system knows no locks (Windows, some network disks) there is
    none. Raises UserError when another process holds the lock, or when something of another kind has the name; OSError
    as the system does.
    """
    if os.name == "nt":  # no folder can be opened there, and no open file renamed
        part.mkdir(exist_ok=True) if folder else part.touch()
        yield
        return
    while True:
        descriptor = _open(part, folder=folder)
        try:
            _lock(descriptor, part)
            # Between opening and locking, the process that had it may have finished and renamed it.
            if _has_name(descriptor, part):
                yield
                return
        finally:
            os.close(descriptor)


def _open(part: Path, *, folder: bool) -> int:
    try:
        if folder:
            with suppress(FileExistsError):
                part.mkdir()
            return os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        if error.errno in _WRONG_KIND:
            raise _not_ours(part) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # a pipe or a device
        os.close(descriptor)
        raise _not_ours(part)
    return descriptor


def _lock(descriptor: int, part: Path) -> None:
    import fcntl  # not on Windows

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(
            f"{part}: another process is writing this archive; wait for it, or choose another --out"
        ) from None
    except OSError:
        pass  # a file system without locks


def _has_name(descriptor: int, part: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), part.lstat())
    except FileNotFoundError:
        return False


def _not_ours(part: Path) -> UserError:
    return UserError(f"{part}: is no unfinished archive of this program, but has the name of one; move it away")
