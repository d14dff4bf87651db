"""The archives that are one file, .zip and .tar.

Every file in them follows from its name and its bytes alone: dates, owners and rights are fixed, and nothing is written
twice. So what a killed process has left is whole as far as writing it anew would give the same bytes.
"""

from __future__ import annotations

import os
import re
import struct
import tarfile
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

from genface.sources import MANIFEST
from genface.whole import is_whole

# The earliest date that a .zip can state: equal commands give equal bytes.
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_BUFFER_BYTES = 1 << 18
_OCTAL = re.compile(rb"[0-7]+")


def not_following(path: str, flags: int) -> int:
    """For `open`: a link in place of the file is an error."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


class _Entry(NamedTuple):
    """A file as it stands in the archive: head, bytes, padding."""

    head: bytes
    padding: bytes = b""
    info: zipfile.ZipInfo | None = None
    """What a .zip repeats in its directory."""


class _StreamSink:
    """Files one behind the other in one file, each behind a head that states its size; a `Sink`."""

    _HEAD_BYTES: int
    """The length of a head, without the name where that is behind it."""
    _FIXED: tuple[slice, ...]
    """Where heads of equal names are equal, whatever the file."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = open(path, "r+b", buffering=_BUFFER_BYTES, opener=not_following)  # noqa: SIM115
        self._position = 0
        self._size = os.fstat(self._file.fileno()).st_size

    def foreign(self) -> str | None:
        head = self._entry(MANIFEST, b"").head
        self._file.seek(0)
        there = self._file.read(len(head))
        ours = all(head[fixed].startswith(there[fixed]) for fixed in self._FIXED)
        return None if ours else "begins otherwise"

    def pictures(self) -> int:
        count = position = 0
        while span := self._span(position):
            position += span
            count += 1
        return max(count - 1, 0)  # the manifest is the first

    def take(self, name: str) -> bytes | None:
        span = self._span(self._position)
        if not span:
            return None
        self._file.seek(self._position)
        there = self._file.read(span)
        start, size = self._measure(there[: self._HEAD_BYTES])
        data = there[start : start + size]
        entry = self._entry(name, data)
        if there != b"".join((entry.head, data, entry.padding)) or not self._is_whole(name, data):
            return None
        self._place(entry, size)
        return data

    def cut(self) -> None:
        self._file.truncate(self._position)
        self._file.seek(self._position)

    def clear(self) -> None:
        self._position = 0
        self.cut()

    def write(self, name: str, data: bytes) -> None:
        entry = self._entry(name, data)
        for piece in (entry.head, data, entry.padding):
            self._file.write(piece)
        self._file.flush()
        self._place(entry, len(data))

    def close(self) -> None:
        self._finish()
        self._file.flush()
        os.fsync(self._file.fileno())  # a rename may reach the disk before the bytes do
        self._file.close()

    def abandon(self) -> None:
        with suppress(OSError):  # half a file in the buffers of a full disk
            self._file.close()

    def _span(self, position: int) -> int:
        """The length of the file at this position, with head and padding; 0 when it is not all there."""
        self._file.seek(position)
        head = self._file.read(self._HEAD_BYTES)
        if len(head) < self._HEAD_BYTES:
            return 0
        start, size = self._measure(head)
        span = start + size + self._padding(size)
        return span if start and position + span <= self._size else 0

    def _place(self, entry: _Entry, size: int) -> None:
        self._position += len(entry.head) + size + len(entry.padding)

    def _padding(self, size: int) -> int:
        return 0

    def _measure(self, head: bytes) -> tuple[int, int]:
        """Where the bytes start behind a head, and how many they are; a start of 0 when it is no head."""
        raise NotImplementedError

    def _entry(self, name: str, data: bytes) -> _Entry:
        raise NotImplementedError

    def _is_whole(self, name: str, data: bytes) -> bool:
        raise NotImplementedError

    def _finish(self) -> None:
        raise NotImplementedError


class ZipSink(_StreamSink):
    """A .zip, stored, not deflated: the pictures are compressed already. Memory: its directory."""

    _HEAD = struct.Struct("<4s5H3L2H")  # APPNOTE.TXT, section 4.3.7
    _HEAD_BYTES = _HEAD.size
    _FIXED = (slice(0, 14), slice(26, None))  # between them are check sum and sizes

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._directory: list[zipfile.ZipInfo] = []

    def _measure(self, head: bytes) -> tuple[int, int]:
        signature, *_, size, name_bytes, extra_bytes = self._HEAD.unpack(head)
        return (self._HEAD_BYTES + name_bytes + extra_bytes if signature == b"PK\3\4" else 0), size

    def _entry(self, name: str, data: bytes) -> _Entry:
        info = zipfile.ZipInfo(name, _ZIP_DATE)
        info.create_system = 3  # Unix, on every system
        info.external_attr = 0o644 << 16
        info.CRC = zlib.crc32(data)
        info.file_size = info.compress_size = len(data)
        info.header_offset = self._position
        return _Entry(info.FileHeader(), info=info)

    def _place(self, entry: _Entry, size: int) -> None:
        super()._place(entry, size)
        assert entry.info is not None
        self._directory.append(entry.info)

    def clear(self) -> None:
        super().clear()
        self._directory.clear()

    def _is_whole(self, name: str, data: bytes) -> bool:
        return True  # its check sum was right

    def _finish(self) -> None:
        self._file.seek(self._position)
        with zipfile.ZipFile(self._file, "w") as archive:  # which begins where the file stands: at the directory
            archive.infolist().extend(self._directory)


class TarSink(_StreamSink):
    """A plain .tar in POSIX's ustar form. Memory: flat."""

    _HEAD_BYTES = tarfile.BLOCKSIZE
    _FIXED = (slice(0, 124),)  # before the size
    _SIZE = slice(124, 135)

    def _measure(self, head: bytes) -> tuple[int, int]:
        digits = head[self._SIZE]
        if not _OCTAL.fullmatch(digits):  # the end, or damage
            return 0, 0
        return self._HEAD_BYTES, int(digits, 8)

    def _padding(self, size: int) -> int:
        return -size % tarfile.BLOCKSIZE

    def _entry(self, name: str, data: bytes) -> _Entry:
        info = tarfile.TarInfo(name)  # of mode 644, at second 0 of 1970, by user 0
        info.size = len(data)
        return _Entry(info.tobuf(tarfile.USTAR_FORMAT), bytes(self._padding(len(data))))

    def _is_whole(self, name: str, data: bytes) -> bool:
        return name == MANIFEST or is_whole(name, data)

    def _finish(self) -> None:
        end = self._position + 2 * tarfile.BLOCKSIZE
        self._file.write(bytes(end + -end % tarfile.RECORDSIZE - self._position))
