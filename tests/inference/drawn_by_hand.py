"""Archives that are drawn picture by picture, so that they can be spoilt; loaded by runpy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genface.encode import PictureFormat, encode
from genface.model import Generator
from genface.record import read_record

N, SEED = 20, 5
FORMATS = [PictureFormat(), PictureFormat(level=9), PictureFormat(name="webp"), PictureFormat(name="jpeg", quality=80)]


def manifest_of(generator: Generator, **changes: Any) -> dict[str, Any]:
    info = generator.info
    return {
        "kind": "genface-archive",
        "format_version": 1,
        "model_sha256": info.sha256,
        "seed": SEED,
        "truncation": None,
        "latents_sha256": None,
        "inputs": dict(info.inputs),
        "n": N,
        "shard": None,
        "image_format": "png",
        "image_options": {"level": None},
        "height": info.height,
        "width": info.width,
        "marked": True,
        "preparation": None,
        "provider": info.provider.name,
        "precision": info.provider.precision,
        "versions": {"genface": "0.1.0"},
    } | changes


def as_fields(picture_format: PictureFormat) -> dict[str, Any]:
    return {"image_format": picture_format.name, "image_options": picture_format.options}


class Drawn:
    """A folder of pictures with its manifest, drawn by hand, so that it can be spoilt."""

    def __init__(self, path: Path, generator: Generator, z: NDArray[np.float32] | None = None, **changes: Any) -> None:
        self.path, self.generator = path, generator
        self.manifest = manifest_of(generator, **changes)
        self.record = read_record(self.manifest, path)
        indices = self.record.indices
        if z is None:
            self.pictures = generator.draw(seed=SEED, indices=indices, truncation=self.record.truncation)
        else:
            self.pictures = generator.from_latents(z[indices.start : indices.stop])
        path.mkdir()
        self.write_manifest()
        for index in indices:
            self.write(index, self.pixels(index))

    def write_manifest(self, **changes: Any) -> None:
        (self.path / "manifest.json").write_text(json.dumps(self.manifest | changes))

    def pixels(self, index: int) -> NDArray[np.uint8]:
        return self.pictures[index - self.record.indices.start].copy()

    def name(self, index: int) -> str:
        return f"{index:06d}.{self.record.picture_format.ending}"

    def write(self, index: int, pixels: NDArray[np.uint8], marks: dict[str, str] | None = None, **format_: Any) -> None:
        picture_format = PictureFormat(**format_) if format_ else self.record.picture_format
        texts = self.record.origin(index) if marks is None else marks
        data = encode(pixels, texts if self.manifest["marked"] else None, picture_format)
        (self.path / self.name(index)).write_bytes(data)
