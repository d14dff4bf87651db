"""Where pictures come from: a folder (recursive), a .zip, a .tar, or a Hugging Face data set; all read by name."""

from __future__ import annotations

import os
import stat
import zipfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn, Self

from PIL import Image

from genface.errors import BrokenImageError, UserError
from genface.strict_json import parse_json

MANIFEST = "manifest.json"
MAX_FILE_BYTES = 1 << 29
# Formats that Pillow names but cannot decode by itself (EPS would be handed to Ghostscript), or that are no pictures.
_NOT_PICTURES = {"BUFR", "EPS", "FITS", "GRIB", "HDF5", "MPEG", "WMF"}
_TAR_ENDINGS = (".tar", ".tar.gz", ".tgz")
_OTHER_ARCHIVES = (".xz", ".bz2", ".zst", ".7z", ".rar", ".txz", ".tbz2")
_HUB_PREFIX = "hf:"


class PictureSource:
    """The pictures of one place, in the order of their names.

    names: relative paths with forward slashes, sorted. Hidden files, `__MACOSX` and files whose ending is no picture's
    are left out. manifest: the parsed manifest.json at the top, if there is one (an archive or a prepared data set).
    """

    def __init__(self, path: Path, names: list[str], manifest: dict[str, Any] | None) -> None:
        self.path = path
        self.names = names
        self.manifest = manifest

    def read(self, name: str) -> bytes:
        """The encoded bytes of one picture; thread-safe. Raises BrokenImageError when they cannot be had."""
        raise NotImplementedError

    def stamp(self, name: str) -> str | None:
        """What tells without reading a picture that its bytes are the same as before; None where nothing does."""
        return None

    def close(self) -> None:
        """Release the file behind the source."""

    def __len__(self) -> int:
        return len(self.names)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __str__(self) -> str:
        return str(self.path)


class FolderSource(PictureSource):
    """All pictures below a folder, however deep; links are followed, loops are not."""

    def __init__(self, path: Path) -> None:
        names = sorted(name for name in _walk(path) if is_picture_name(name))
        file = path / MANIFEST
        manifest = None
        if file.is_file():
            check_manifest_size(file.stat().st_size, path)
            manifest = parse_manifest(file.read_bytes(), path)
        super().__init__(path, names, manifest)

    def read(self, name: str) -> bytes:
        file = self.path / name
        try:
            status = file.stat()
            if not stat.S_ISREG(status.st_mode):
                raise BrokenImageError(name, "not a regular file")  # reading a pipe would wait for ever
            if status.st_size > MAX_FILE_BYTES:
                raise BrokenImageError(name, f"over {MAX_FILE_BYTES >> 20} MiB")
            return file.read_bytes()
        except OSError as error:
            raise BrokenImageError(name, error.strerror or str(error)) from error

    def stamp(self, name: str) -> str | None:
        return file_stamp(self.path / name)


class ZipSource(PictureSource):
    """The pictures inside a .zip, read in place."""

    def __init__(self, path: Path) -> None:
        with ExitStack() as undo:
            try:
                self._zip = undo.enter_context(zipfile.ZipFile(path))
                members = {info.filename: info.file_size for info in self._zip.infolist() if not info.is_dir()}
                check_manifest_size(members.get(MANIFEST, 0), path)
                data = self._zip.read(MANIFEST) if MANIFEST in members else None
            except UserError:
                raise
            except Exception as error:
                # As below; a damaged directory leads to OSError, ValueError and struct.error as well.
                raise UserError(f"{path}: neither a folder nor a readable .zip or .tar ({error})") from error
            names = sorted(name for name in members if is_picture_name(name))
            super().__init__(path, names, parse_manifest(data, path) if data is not None else None)
            self._stamp = file_stamp(path)
            undo.pop_all()  # from here on `close` closes it

    def read(self, name: str) -> bytes:
        try:
            if self._zip.getinfo(name).file_size > MAX_FILE_BYTES:
                raise BrokenImageError(name, f"over {MAX_FILE_BYTES >> 20} MiB unpacked")
            return self._zip.read(name)
        except BrokenImageError:
            raise
        except Exception as error:
            # zlib.error, BadZipFile (CRC), RuntimeError (encrypted), NotImplementedError (unknown compression) ...
            raise BrokenImageError(name, f"cannot be unpacked ({error})") from error

    def stamp(self, name: str) -> str | None:
        return self._stamp

    def close(self) -> None:
        self._zip.close()


def open_source(path: str | os.PathLike[str]) -> PictureSource:
    """Open a folder, a .zip, a .tar (.tar.gz, .tgz) or `hf:NAME[@SPLIT]` of pictures.

    Raises UserError when it does not exist, is something else, or holds no picture.
    """
    if not os.fspath(path):
        raise UserError("the name of the pictures is empty; the folder that you are in is written .")
    if os.fspath(path).startswith(_HUB_PREFIX):
        from genface.hub_source import HubSource

        return _with_pictures(HubSource(os.fspath(path).removeprefix(_HUB_PREFIX)))
    path = Path(path)
    if path.is_dir():
        return _with_pictures(FolderSource(path))
    if not path.exists():
        raise UserError(f"{path}: no such folder, .zip or .tar")
    if not path.is_file():
        raise UserError(f"{path}: neither a folder nor a regular file")
    if path.name.lower().endswith(_TAR_ENDINGS):
        from genface.tar_source import TarSource

        return _with_pictures(TarSource(path))
    if path.name.lower().endswith(_OTHER_ARCHIVES):
        raise UserError(f"{path}: archives are read as .zip, .tar or .tar.gz; unpack this one and give the folder")
    return _with_pictures(ZipSource(path))


def _with_pictures(source: PictureSource) -> PictureSource:
    if not source.names:
        source.close()
        raise UserError(f"{source}: holds no pictures (looked for {', '.join(sorted(picture_endings())[:6])} and more)")
    return source


@cache
def picture_formats() -> tuple[str, ...]:
    """Names of the formats that the installed Pillow can decode by itself."""
    Image.init()
    return tuple(sorted(set(Image.OPEN) - _NOT_PICTURES))


@cache
def picture_endings() -> frozenset[str]:
    """File endings of these formats, in lower case with the dot."""
    formats = picture_formats()
    return frozenset(ending for ending, kind in Image.registered_extensions().items() if kind in formats)


def is_picture_name(name: str) -> bool:
    """Whether a relative name looks like a visible picture file."""
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return not hidden and path.suffix.lower() in picture_endings()


def _walk(root: Path) -> list[str]:
    """Relative names of all files below `root`; links are followed, each folder is visited once.

    Raises UserError for a folder that cannot be listed: its pictures must not be missing in silence.
    """

    def refuse(error: OSError) -> NoReturn:
        raise UserError(f"{error.filename}: cannot be listed ({error.strerror})") from error

    names: list[str] = []
    seen: set[str] = set()
    for folder, subfolders, files in os.walk(root, followlinks=True, onerror=refuse):
        real = os.path.realpath(folder)
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        subfolders.sort()  # of two names for one folder the same must win on every file system
        relative = Path(folder).relative_to(root)
        names += [(relative / file).as_posix() for file in files]
    return names


def file_stamp(path: Path) -> str:
    """Size and time of a file; `missing` where there is none."""
    try:
        status = path.stat()
    except OSError:
        return "missing"
    return f"{status.st_size} {status.st_mtime_ns}"


def check_manifest_size(size: int, path: Path) -> None:
    """Raise UserError for a manifest that is too large to be read."""
    if size > MAX_FILE_BYTES:
        raise UserError(f"{path}: its {MANIFEST} is over {MAX_FILE_BYTES >> 20} MiB")


def parse_manifest(data: bytes, path: Path) -> dict[str, Any] | None:
    """A manifest.json of ours is an object with a `kind`; a stranger's file of that name is not ours to judge."""
    try:
        manifest = parse_json(data)
    except ValueError as error:
        raise UserError(f"{path}: its {MANIFEST} is not valid JSON ({error})") from None
    return manifest if isinstance(manifest, dict) and "kind" in manifest else None
