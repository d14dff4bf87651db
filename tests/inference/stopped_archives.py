"""Small archives that are drawn to their end or stopped before it, and what can be seen of them; loaded by runpy."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from genface.archive import KIND, PictureNames, open_archive, unfinished_path

N = 4
MANIFEST: dict[str, Any] = {"kind": KIND, "model_sha256": "ab" * 32, "seed": 7, "versions": {"numpy": "2.0"}}
ALL = ["faces.zip", "faces.tar", "faces"]


def encode(index: int, kind: str = "png") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), (index % 256, 40 * index % 256, 7)).save(data, kind)
    return data.getvalue()


PICTURES = [encode(index) for index in range(N)]


def draw(
    path: Path, manifest: Mapping[str, Any] = MANIFEST, *, n: int = N, stop: int | None = None, **ways: bool
) -> int:
    """Write n pictures, or be stopped before number `stop`; gives how many were recovered."""
    names = PictureNames(range(n))
    ways = {"keep_unfinished": True, **ways}
    with open_archive(path, manifest=manifest, names=names, **ways) as archive:
        for index in range(archive.recovered, n):
            if index == stop:
                raise KeyboardInterrupt
            archive.write(names[index], encode(index))
    return archive.recovered


def begin(path: Path, stop: int, **options: Any) -> Path:
    """Leave an unfinished archive with `stop` pictures; gives its hidden name."""
    with pytest.raises(KeyboardInterrupt):
        draw(path, stop=stop, **options)
    return unfinished_path(path)


def content(path: Path) -> bytes | dict[str, bytes]:
    """Everything that can be seen of an archive."""
    return path.read_bytes() if path.is_file() else {entry.name: entry.read_bytes() for entry in path.iterdir()}


def names_in(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}
