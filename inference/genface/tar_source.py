"""Pictures inside a .tar, read in place by an index that is made once from the headers of its members."""

from __future__ import annotations

import gzip
import tarfile
import tempfile
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from genface.errors import BrokenImageError, UserError
from genface.sources import (
    MANIFEST,
    MAX_FILE_BYTES,
    PictureSource,
    check_manifest_size,
    file_stamp,
    is_picture_name,
    parse_manifest,
)

_CHUNK_BYTES = 1 << 20
# Pictures are compressed already; even plain .bmp files rarely shrink to a twentieth. zlib itself ends at 1032.
_MAX_UNPACKED_RATIO = 100
_MIN_UNPACKED_BYTES = 1 << 26


@dataclass(frozen=True)
class _Member:
    offset: int
    size: int
    refusal: str | None
    """Why it is not read; None for a plain file."""


class TarSource(PictureSource):
    """The pictures inside a .tar or .tar.gz; nothing is written under the names of its members.

    A .tar.gz cannot be read from its middle: it is unpacked, as one .tar, to a nameless file in the system's folder for
    temporary files ($TMPDIR). Of members with one name the last counts, as when a .tar is unpacked. Links and special
    files that are named like pictures are broken pictures.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._stamp = file_stamp(path)
        with ExitStack() as undo:
            try:
                self._file: IO[bytes] = undo.enter_context(path.open("rb"))
                if not path.name.lower().endswith(".tar"):
                    self._file = undo.enter_context(_gunzip(self._file, path))
                self._members = _index(self._file)
            except UserError:
                raise
            except Exception as error:
                # Damage leads to TarError, OSError, EOFError, zlib.error, ValueError, RecursionError ...
                raise UserError(f"{path}: cannot be read as a .tar ({error})") from error
            manifest = None
            if MANIFEST in self._members:
                check_manifest_size(self._members[MANIFEST].size, path)
                manifest = parse_manifest(self.read(MANIFEST), path)
            super().__init__(path, sorted(name for name in self._members if is_picture_name(name)), manifest)
            self._open = undo.pop_all()  # from here on `close` closes it

    def read(self, name: str) -> bytes:
        member = self._members[name]
        if member.refusal is not None:
            raise BrokenImageError(name, member.refusal)
        if member.size > MAX_FILE_BYTES:
            raise BrokenImageError(name, f"over {MAX_FILE_BYTES >> 20} MiB")
        try:
            with self._lock:
                self._file.seek(member.offset)
                data = self._file.read(member.size)
        except (OSError, ValueError) as error:
            raise BrokenImageError(name, f"cannot be read ({error})") from error
        if len(data) < member.size:
            raise BrokenImageError(name, "the archive has become shorter since it was opened")
        return data

    def stamp(self, name: str) -> str | None:
        return self._stamp

    def close(self) -> None:
        self._open.close()


def _index(file: IO[bytes]) -> dict[str, _Member]:
    """Where each member lies. Raises tarfile.ReadError for an archive that is damaged or ends early."""
    members: dict[str, _Member] = {}
    with tarfile.open(fileobj=file, mode="r:") as archive:
        while (info := archive.next()) is not None:
            # The list that tarfile keeps of its own would hold about 1 kB for each picture.
            archive.members.clear()  # type: ignore[attr-defined]
            if info.isdir():
                continue
            members[PurePosixPath(info.name).as_posix()] = _Member(info.offset_data, info.size, _refusal(info))
        # tarfile takes a damaged header in the middle for the end. An archive ends with two blocks of zeros.
        file.seek(archive.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError(f"damaged or cut off at byte {archive.offset}")
    return members


def _refusal(info: tarfile.TarInfo) -> str | None:
    if info.issym() or info.islnk():
        return f"a link to {info.linkname} inside the archive; links are not followed"
    return None if info.isreg() and not info.issparse() else "not a regular file"


def _gunzip(file: IO[bytes], path: Path) -> IO[bytes]:
    """The unpacked bytes in a nameless temporary file. Raises UserError for a decompression bomb."""
    allowed = max(_MAX_UNPACKED_RATIO * path.stat().st_size, _MIN_UNPACKED_BYTES)
    with ExitStack() as undo:
        scratch = undo.enter_context(tempfile.TemporaryFile(prefix="genface-"))
        with gzip.open(file) as packed:
            while chunk := packed.read(_CHUNK_BYTES):
                scratch.write(chunk)
                if scratch.tell() > allowed:
                    raise UserError(
                        f"{path}: unpacks to more than {_MAX_UNPACKED_RATIO} times its size (a decompression bomb);"
                        " unpack it yourself if you trust it"
                    )
        scratch.seek(0)
        undo.pop_all()
        return scratch
