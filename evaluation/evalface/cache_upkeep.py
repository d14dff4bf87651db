"""What keeps the feature cache within its bounds: a limit on its size, a list of what it holds, and clearing it."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evalface.feature_cache import ABOUT, BLOCK_NAME, block_paths, books_folder, unpacked
from genface.errors import UserError

LIMIT_VARIABLE = "EVALFACE_CACHE_GIB"
DEFAULT_LIMIT_GIB = 5.0

_BOOK_NAME = re.compile(r"[0-9a-f]{32}")
_PART_NAME = re.compile(r"\..+\.part")
# Version 1 kept one array for each set, with a description beside it.
_OLD_NAME = re.compile(r"[0-9a-f]{64}\.(npy|json)")
_ABANDONED_SECONDS = 3600.0


def limit_bytes() -> int:
    """`$EVALFACE_CACHE_GIB` in bytes, 5 GiB unless set. Raises UserError for what is no number from 0."""
    text = os.environ.get(LIMIT_VARIABLE) or str(DEFAULT_LIMIT_GIB)
    try:
        gib = float(text)
    except ValueError:
        gib = math.nan
    if not 0 <= gib < math.inf:
        raise UserError(f"{LIMIT_VARIABLE} is {text!r}; it takes a number of GiB from 0")
    return int(gib * 2**30)


def trim(limit: int) -> None:
    """Remove the files that were used longest ago until all together hold at most `limit` bytes.

    Temporary files that a killed process has left go as well, once an hour has passed.
    """
    found: list[tuple[float, int, Path]] = []
    for path in _our_files():
        with contextlib.suppress(OSError):
            status = path.stat()
            if _PART_NAME.fullmatch(path.name) and time.time() - status.st_mtime > _ABANDONED_SECONDS:
                path.unlink(missing_ok=True)
            elif path.name != ABOUT:
                found.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= limit:
            return
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            total -= size


@dataclass(frozen=True, kw_only=True)
class BookRecord:
    """One book of the cache, for a list of them."""

    facts: dict[str, Any]
    """What the book says of itself; empty where that is damaged."""
    pictures: int
    bytes: int
    last_used: float
    """Seconds since 1970."""


def list_cache() -> list[BookRecord]:
    """All books that hold anything, the last used first."""
    books = []
    for folder in _book_folders():
        statuses = [path.stat() for path in block_paths(folder)]
        if statuses:
            books.append(
                BookRecord(
                    facts=_read_about(folder),
                    pictures=len({digest for path in block_paths(folder) for digest in _digests(path)}),
                    bytes=sum(status.st_size for status in statuses),
                    last_used=max(status.st_mtime for status in statuses),
                )
            )
    return sorted(books, key=lambda book: -book.last_used)


def clear_cache() -> int:
    """Remove all cached features and nothing else; returns the bytes that were freed.

    A run that goes on at the same time computes on; what it writes afterwards is kept.
    """
    freed = 0
    for path in _our_files():
        with contextlib.suppress(OSError):
            size = path.stat().st_size
            path.unlink()
            freed += size
    for folder in [*_book_folders(), books_folder()]:
        with contextlib.suppress(OSError):  # a stranger's file, or another run's, is in it
            folder.rmdir()
    return freed


def _digests(path: Path) -> list[str]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return unpacked(arrays["digests"])
    except Exception:  # as above
        return []


def _read_about(folder: Path) -> dict[str, Any]:
    try:
        facts = json.loads((folder / ABOUT).read_text())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _book_folders() -> list[Path]:
    root = books_folder()
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if _BOOK_NAME.fullmatch(path.name) and path.is_dir())


def _our_files() -> Iterator[Path]:
    """Every file that this module has written, and no other, whatever else is kept in the same folder."""
    with contextlib.suppress(OSError):
        yield from [path for path in books_folder().iterdir() if _OLD_NAME.fullmatch(path.name)]
    for folder in _book_folders():
        for path in folder.iterdir():
            if path.name == ABOUT or BLOCK_NAME.fullmatch(path.name) or _PART_NAME.fullmatch(path.name):
                yield path
