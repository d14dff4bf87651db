"""Files that appear whole or not at all, and where evalface keeps its own."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from genface.errors import UserError


def cache_folder() -> Path:
    """`$EVALFACE_CACHE`, or ~/.cache/evalface (below `$XDG_CACHE_HOME` where that is set).

    Raises UserError where neither is set and the user has no home.
    """
    if own := os.environ.get("EVALFACE_CACHE"):
        return Path(own)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evalface"
    except RuntimeError as error:
        raise UserError("no home folder to keep the cache in; name a folder for it by EVALFACE_CACHE") from error


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` for writing; rename it to `path` on success, remove it on any error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    part = Path(name)
    try:
        # mkstemp makes the file private; a result should have the permissions of any other new file.
        mask = os.umask(0)
        os.umask(mask)
        part.chmod(0o666 & ~mask)
        with os.fdopen(handle, "wb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes | str) -> None:
    """Write all of `data` under a temporary name, then rename; text as `write_all_whole` does."""
    write_all_whole(path.parent, {path.name: data})


def write_all_whole(folder: Path, files: Mapping[str, bytes | str]) -> None:
    r"""Write all files under temporary names, then rename all, the first of `files` last.

    Text is written as UTF-8; bytes of a file's name that are no text appear as `\udcXX`.
    """
    with ExitStack() as stack:
        for name, data in files.items():
            file = stack.enter_context(written_whole(folder / name))
            file.write(data.encode(errors="backslashreplace") if isinstance(data, str) else data)
            # A full disk must show before the first rename.
            file.flush()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
