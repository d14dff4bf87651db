"""Pictures that a generator draws while they are scored; none touches the disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evalface.images import Pictures, Survey
from evalface.looks import Look
from genface.cores import usable_cores
from genface.draw import DrawConfig, manifest
from genface.errors import BrokenImageError
from genface.model import Generator
from genface.parallel import ordered_map
from genface.photos import Preparation, PreparedFace, prepare

FORMAT = "drawn"
"""Stands for the format of pictures that were never files."""
# What a manifest says of the archive and not of the pixels: picture i does not depend on how many are drawn.
_NOT_PIXELS = ("kind", "format_version", "n", "shard", "image_format", "image_options", "marked", "preparation")


class DrawnPictures(Pictures):
    """The pictures 0 to n - 1 of a seed, named and recorded like those of the archive that genface would write."""

    def __init__(self, generator: Generator, n: int, *, seed: int, truncation: float | None) -> None:
        """Raises UserError for an n, seed or truncation out of range."""
        self._generator, self._seed, self._truncation = generator, seed, truncation
        config = DrawConfig(n=n, seed=seed, truncation=truncation)
        self.names = [config.names[index] for index in range(n)]
        self.manifest: dict[str, Any] = manifest(generator, config)
        self.record = generator.info.preparation

    @cached_property
    def survey(self) -> Survey:
        """Told by the recipe: model, seed, truncation, provider, precision and versions, and the picture's index."""
        recipe = {key: value for key, value in self.manifest.items() if key not in _NOT_PIXELS}
        start = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode())
        info = self._generator.info

        def look(index: int) -> Look:
            digest = start.copy()
            digest.update(f" {index}".encode())
            return Look(digest=digest.hexdigest(), format=FORMAT, mode="RGB", size=(info.width, info.height))

        return Survey(looks=tuple(look(index) for index in range(len(self))))

    def faces(self, preparation: Preparation | None, indices: Sequence[int] | None = None) -> Iterator[PreparedFace]:
        chosen = range(len(self)) if indices is None else indices
        block = self._generator.block
        jobs = (chosen[start : start + block] for start in range(0, len(chosen), block))
        workers = usable_cores() if self._generator.info.provider.concurrent else 1

        def draw(job: Sequence[int]) -> list[PreparedFace]:
            pictures = self._generator.draw(seed=self._seed, indices=job, truncation=self._truncation)
            return [_prepared(self.names[i], face, preparation) for i, face in zip(job, pictures, strict=True)]

        with closing(ordered_map(draw, jobs, workers, "draw")) as drawn:
            for faces in drawn:
                yield from faces

    def close(self) -> None:
        """Nothing is held open."""

    def __str__(self) -> str:
        return str(self._generator.info.path)


def _prepared(name: str, pixels: NDArray[np.uint8], preparation: Preparation | None) -> PreparedFace:
    if preparation is None:
        return PreparedFace(name, pixels)
    try:
        return PreparedFace(name, np.asarray(prepare(Image.fromarray(pixels), preparation, name), dtype=np.uint8))
    except BrokenImageError as error:  # no face to cut out
        return PreparedFace(name, None, error)
