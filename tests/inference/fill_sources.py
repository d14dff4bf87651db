"""Sources made of given files, one kind each, for tests."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "png")
    return buffer.getvalue()


def fill_folder(path: Path, files: dict[str, bytes]) -> Path:
    path.mkdir()
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def fill_zip(path: Path, files: dict[str, bytes]) -> Path:
    path = path.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("an empty folder")
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def fill_tar(path: Path, files: dict[str, bytes], mode: str = "w", ending: str = ".tar") -> Path:
    path = path.with_name(path.name + ending)
    with tarfile.open(path, mode) as archive:
        archive.addfile(folder_entry("an empty folder"))
        for name, data in files.items():
            entry = tarfile.TarInfo(f"./{name}")  # as `tar -c .` names it
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def folder_entry(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type = tarfile.DIRTYPE
    return entry


def fill_tgz(path: Path, files: dict[str, bytes]) -> Path:
    return fill_tar(path, files, "w:gz", ".tar.gz")
