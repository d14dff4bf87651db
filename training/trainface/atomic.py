"""Files that are complete under their name or not there at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from genface.new_file import sync_folder


def write(path: Path, fill: Callable[[BinaryIO], None]) -> None:
    """Let `fill` write the file under a temporary name, fsync it, rename it to `path`, fsync the folder.

    Raises OSError naming `path` when that fails, e.g. on a full disk; what was there before stays.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)  # so that a power cut does not bring the old file back


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` in the same way."""

    def fill(file: BinaryIO) -> None:
        file.write(data)

    write(path, fill)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 in the same way."""
    write_bytes(path, text.encode())
