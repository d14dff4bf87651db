"""The three forms of an archive: a .zip, a .tar, or a folder; written in order, and taken up again after a kill."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from genface.errors import UserError
from genface.sources import MANIFEST
from genface.streams import TarSink, ZipSink, not_following
from genface.whole import is_whole

_PICTURE_NAME = re.compile(r"\d{6,}\.(png|webp|jpg)")


class Sink(Protocol):
    """An unfinished archive. What is there already is taken file by file, then what follows is written."""

    def foreign(self) -> str | None:
        """Why what is there was not written by this program; None when it was, or when nothing is there."""

    def pictures(self) -> int:
        """How many pictures are there, judged by their sizes alone: the last one may be damaged."""

    def take(self, name: str) -> bytes | None:
        """The bytes of the next file, which stays; None when it is not this one, or not whole."""

    def cut(self) -> None:
        """Drop what is behind the files that were taken."""

    def clear(self) -> None:
        """Drop everything."""

    def write(self, name: str, data: bytes) -> None:
        """Add one file; from then on it is the system's to keep, and survives a kill."""

    def close(self) -> None:
        """Finish the archive, and bring it to the disk where that is one file."""

    def abandon(self) -> None:
        """Leave it as it is."""


class FolderSink:
    """A folder of files, not synced: that would take longer than drawing them. Memory: flat."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0

    def foreign(self) -> str | None:
        added = stranger(self._path, hidden=True)
        return None if added is None else f"holds {added}"

    def pictures(self) -> int:
        with os.scandir(self._path) as entries:
            return sum(bool(_PICTURE_NAME.fullmatch(entry.name)) and entry.stat().st_size > 0 for entry in entries)

    def take(self, name: str) -> bytes | None:
        try:
            data = (self._path / name).read_bytes()
        except FileNotFoundError:
            return None
        if name != MANIFEST and not is_whole(name, data):
            return None
        self._count += 1
        return data

    def cut(self) -> None:
        # Later pictures stay until they are written over: the same manifest promises the same names.
        self._remove(lambda name: name.startswith("."))

    def clear(self) -> None:
        self._remove(lambda name: True)
        self._count = 0

    def write(self, name: str, data: bytes) -> None:
        # Not by pathlib, which interns every name.
        with open(os.path.join(self._path, name), "wb", opener=not_following) as file:
            file.write(data)
        self._count += 1

    def close(self) -> None:
        with os.scandir(self._path) as entries:
            count = sum(1 for _ in entries)
        if count != self._count:
            raise UserError(
                f"{self._path}: holds {count:,} files, not the {self._count:,} of the archive; take out what was added"
            )

    def abandon(self) -> None: ...

    def _remove(self, unwanted: Callable[[str], bool]) -> None:
        with os.scandir(self._path) as entries:
            names = [entry.name for entry in entries if unwanted(entry.name)]
        for name in names:
            (self._path / name).unlink()


_SINKS: dict[str, type[ZipSink | TarSink]] = {".zip": ZipSink, ".tar": TarSink}


def sink_type(path: Path) -> type[ZipSink | TarSink | FolderSink]:
    """What writes an archive of this name."""
    return _SINKS.get(path.suffix.lower(), FolderSink)


def stranger(folder: Path, *, hidden: bool = False) -> str | None:
    """The name of something that this program does not write into a folder; `hidden` files pass for left by it."""

    def ours(entry: os.DirEntry[str]) -> bool:
        named_like_ours = entry.name == MANIFEST or _PICTURE_NAME.fullmatch(entry.name)
        return bool(named_like_ours or (hidden and entry.name.startswith("."))) and entry.is_file(follow_symlinks=False)

    with os.scandir(folder) as entries:
        return min((entry.name for entry in entries if not ours(entry)), default=None)
