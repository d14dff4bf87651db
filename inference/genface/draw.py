"""The archive: pictures drawn and encoded by one-thread workers side by side, written in the order of their indices.

A block of pictures is drawn by one thread on one core: no barrier between operators, activations that stay in its
cache, and one order of additions, so that the bytes do not depend on how many workers there are. At most a few jobs a
worker are in flight, so that drawing, encoding and writing overlap in bounded memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray

import genface
from genface.archive import FORMAT_VERSION, KIND, PictureNames, open_archive, shard_indices
from genface.cores import usable_cores
from genface.encode import PNG, PictureFormat, encode
from genface.errors import UserError
from genface.latents import MAX_INDEX, latents
from genface.latents_file import latents_sha256
from genface.model import Generator
from genface.parallel import AHEAD_PER_WORKER, ordered_map
from genface.provenance import origin
from genface.providers import onnx_runtime


@dataclass(frozen=True, kw_only=True)
class DrawConfig:
    """What is drawn. With the same generator file, equal configurations give equal archives, whatever the batch."""

    n: int
    """Number of pictures of the whole archive, with the indices 0 to n - 1."""
    seed: int = 0
    """0 to 2^64 - 1; of no effect with `latents`."""
    truncation: float | None = None
    """Cut of the latents' normal (`genface.latents.latents`); None for none."""
    latents: NDArray[np.float32] | None = field(default=None, compare=False)
    """float32 [n, z_dim]: row i makes picture i; None to draw them from the seed."""
    shard: tuple[int, int] | None = None
    """(k, K): only part k of K, counted from 1; None for all."""
    batch: int | None = None
    """Pictures that a worker draws and encodes at a time, rounded up to whole blocks; None for one block."""
    picture_format: PictureFormat = PNG
    """How the pictures are encoded."""
    mark: bool = True
    """Whether every picture says that it is machine-made, and from what."""

    def __post_init__(self) -> None:
        if not 1 <= self.n <= MAX_INDEX:  # a range of more has no length in Python
            raise UserError(f"n must be at least 1 and below 2^63, not {self.n}")
        if self.batch is not None and self.batch < 1:
            raise UserError(f"batch must be at least 1, not {self.batch}")
        if self.shard is not None:
            part, parts = self.shard
            if not 1 <= part <= parts <= self.n:
                raise UserError(
                    f"shard {part}/{parts} is out of range: parts are numbered from 1, and there are at most as many as"
                    f" pictures ({self.n:,})"
                )
        if self.latents is None:
            latents(self.seed, [], 1, truncation=self.truncation)  # refuses what is out of range, before any writing
        elif self.truncation is not None:
            raise UserError("truncation shapes latents that are drawn from a seed; it does not go with given latents")
        elif len(self.latents) != self.n:
            raise UserError(f"n is {self.n:,}, but there are {len(self.latents):,} latents: leave n out")

    @property
    def indices(self) -> range:
        """Indices of the pictures that this archive holds."""
        return shard_indices(self.n, *(self.shard or (1, 1)))

    @property
    def names(self) -> PictureNames:
        """Names of those pictures inside the archive."""
        return PictureNames(self.indices, self.picture_format.ending)

    def z(self, indices: range, z_dim: int) -> NDArray[np.float32]:
        """The latents of `indices`: float32 [N, z_dim]."""
        if self.latents is None:
            return latents(self.seed, indices, z_dim, truncation=self.truncation)
        return self.latents[indices.start : indices.stop]


def draw_archive(
    generator: Generator,
    config: DrawConfig,
    out: Path,
    *,
    force: bool = False,
    resume: bool = False,
    workers: int | None = None,
    found: Callable[[int], None] = lambda count: None,
    progress: Callable[[int], None] = lambda done: None,
) -> int:
    """Draw the pictures of `config` into the archive `out` (see `genface.archive.open_archive`).

    Gives how many of them were drawn now, not found there by `resume`. Memory grows by about 0.3 kB per picture for a
    .zip (its directory), and is flat for a .tar and a folder. `workers` defaults to the usable cores. `found` is
    called once, with the number of pictures that `resume` found; `progress` with the number that are there so far.
    """
    with open_archive(
        out,
        manifest=manifest(generator, config),
        names=config.names,
        force=force,
        resume=resume,
        keep_unfinished=True,
    ) as archive:
        if archive.complete:
            return 0
        done = archive.recovered
        found(done)
        left = config.indices[done:]
        files = _Drawing(generator, config).in_order(left, workers or usable_cores())
        for data in files:
            archive.write(config.names[done], data)
            done += 1
            progress(done)
    return len(left)


def draw_one(generator: Generator, config: DrawConfig, index: int) -> bytes:
    """One picture of the archive that `config` describes, byte for byte. Raises UserError for an index beyond it."""
    if index not in config.indices:
        raise UserError(f"index must be from {config.indices.start} to {config.indices.stop - 1}, not {index}")
    (file,) = _Drawing(generator, config).encoded(range(index, index + 1))
    return file


def manifest(generator: Generator, config: DrawConfig) -> dict[str, Any]:
    """Everything that a reader of the archive, and whoever wants to draw it again, must know."""
    info = generator.info
    given = config.latents is not None
    return {
        "kind": KIND,
        "format_version": FORMAT_VERSION,
        "model_sha256": info.sha256,
        "inputs": dict(info.inputs),
        "answers": dict(info.answers),
        "seed": None if given else config.seed,
        "truncation": config.truncation,
        "latents_sha256": _latents_sha256(config),
        "n": config.n,
        "shard": list(config.shard) if config.shard else None,
        "image_format": config.picture_format.name,
        "image_options": dict(config.picture_format.options),
        "height": info.height,
        "width": info.width,
        "marked": config.mark,
        "preparation": info.preparation.to_dict() if info.preparation else None,
        "provider": info.provider.name,
        "precision": info.provider.precision,
        "versions": {
            "genface": genface.__version__,
            "numpy": np.__version__,
            "onnxruntime": onnx_runtime().__version__,
            "pillow": PIL.__version__,
            **info.provider.versions,
        },
    }


class _Drawing:
    """A generator, what it shall draw, and what every picture of that says about itself."""

    def __init__(self, generator: Generator, config: DrawConfig) -> None:
        self._generator, self._config = generator, config
        self._sources: dict[str, Any] = {
            "model_sha256": generator.info.sha256,
            "inputs": dict(generator.info.inputs),
            "seed": config.seed,
            "truncation": config.truncation,
            "latents_sha256": _latents_sha256(config),
        }

    def encoded(self, indices: range) -> list[bytes]:
        """The files of these pictures."""
        config = self._config
        try:
            pictures = self._generator.from_latents(config.z(indices, self._generator.info.z_dim))
            return [
                encode(pixels, self._origin(index), config.picture_format)
                for index, pixels in zip(indices, pictures, strict=True)
            ]
        except MemoryError as error:
            raise UserError(
                f"out of memory while drawing {len(indices):,} pictures at a time in each thread"
                f" ({str(error) or type(error).__name__}): take a smaller --batch, or fewer --threads"
            ) from error

    def in_order(self, indices: range, workers: int) -> Iterator[bytes]:
        """The files of all these pictures, drawn a few jobs ahead of the reader."""
        block = self._generator.block
        blocks = -(-(self._config.batch or 1) // block)
        ahead = max(2, AHEAD_PER_WORKER // blocks)  # larger jobs, fewer of them in memory
        for files in ordered_map(self.encoded, _jobs(indices, block * blocks), workers, "draw", ahead=ahead):
            yield from files

    def _origin(self, index: int) -> dict[str, str] | None:
        return origin(**self._sources, index=index) if self._config.mark else None


def _jobs(indices: range, size: int) -> Iterator[range]:
    """Cut a range at the multiples of `size`."""
    start = indices.start
    while start < indices.stop:
        stop = min((start // size + 1) * size, indices.stop)
        yield range(start, stop)
        start = stop


def _latents_sha256(config: DrawConfig) -> str | None:
    return None if config.latents is None else latents_sha256(config.latents)
