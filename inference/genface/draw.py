"""The archive: pictures drawn and encoded by one-thread workers side by side, written in the order of their indices.

A block of pictures is drawn by one thread on one core: no barrier between operators, activations that stay in its
cache, and one order of additions, so that the bytes do not depend on how many workers there are.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import PIL

import genface
from genface.archive import FORMAT_VERSION, KIND, Write, open_archive
from genface.cores import usable_cores
from genface.encode import encode_png
from genface.errors import UserError
from genface.latents import latents
from genface.model import Generator
from genface.provenance import origin
from genface.providers import onnx_runtime
from genface.sources import MANIFEST

# Jobs in flight per worker: enough that none waits for the writer, few enough that pictures do not pile up in memory.
_JOBS_PER_WORKER = 4


@dataclass(frozen=True, kw_only=True)
class DrawConfig:
    """What is drawn. With the same generator file, equal configurations give equal archives, whatever the batch."""

    n: int
    """Number of pictures, with the indices 0 to n - 1."""
    seed: int = 0
    """0 to 2^64 - 1."""
    truncation: float | None = None
    """Cut of the latents' normal (`genface.latents.latents`); None for none."""
    batch: int | None = None
    """Pictures that a worker draws and encodes at a time, rounded up to whole blocks; None for one block."""
    mark: bool = True
    """Whether every picture says that it is machine-made, and from what."""

    def __post_init__(self) -> None:
        if self.n < 1:
            raise UserError(f"n must be at least 1, not {self.n}")
        if self.batch is not None and self.batch < 1:
            raise UserError(f"batch must be at least 1, not {self.batch}")
        latents(
            self.seed, [], 1, truncation=self.truncation
        )  # refuses what is out of range, before anything is written


def draw_archive(
    generator: Generator,
    config: DrawConfig,
    out: Path,
    *,
    force: bool = False,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Draw `config.n` pictures into the archive `out` (see `genface.archive.open_archive`).

    Memory grows by about 0.4 kB per picture for a .zip (its directory), and is flat for a folder. `workers` defaults to
    the usable cores. `progress` is called with the number of pictures written so far.
    """
    with open_archive(out, force=force) as write:
        write(MANIFEST, _to_json(manifest(generator, config)))
        _write_pictures(generator, config, write, workers or usable_cores(), progress)


def manifest(generator: Generator, config: DrawConfig) -> dict[str, Any]:
    """Everything that a reader of the archive, and whoever wants to draw it again, must know."""
    info = generator.info
    return {
        "kind": KIND,
        "format_version": FORMAT_VERSION,
        "model_sha256": info.sha256,
        "seed": config.seed,
        "truncation": config.truncation,
        "n": config.n,
        "image_format": "png",
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


def picture_name(index: int) -> str:
    """The name of a picture inside the archive."""
    return f"{index:06d}.png"


def _write_pictures(
    generator: Generator, config: DrawConfig, write: Write, workers: int, progress: Callable[[int], None]
) -> None:
    def draw_job(indices: range) -> list[bytes]:
        pictures = generator.draw(seed=config.seed, indices=indices, truncation=config.truncation)
        return [
            encode_png(pixels, _origin(generator, config, index) if config.mark else None)
            for index, pixels in zip(indices, pictures, strict=True)
        ]

    jobs = _jobs(config.n, generator.block * -(-(config.batch or 1) // generator.block))
    waiting: deque[tuple[range, Future[list[bytes]]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="draw") as pool:
        try:
            waiting.extend((job, pool.submit(draw_job, job)) for job in islice(jobs, _JOBS_PER_WORKER * workers))
            while waiting:
                indices, future = waiting.popleft()
                encoded = future.result()
                waiting.extend((job, pool.submit(draw_job, job)) for job in islice(jobs, 1))
                for index, data in zip(indices, encoded, strict=True):
                    write(picture_name(index), data)
                progress(indices.stop)
        finally:
            for _, future in waiting:
                future.cancel()


def _jobs(n: int, size: int) -> Iterator[range]:
    """Cut 0 to n - 1 into ranges that start at multiples of `size`."""
    return (range(start, min(start + size, n)) for start in range(0, n, size))


def _origin(generator: Generator, config: DrawConfig, index: int) -> dict[str, str]:
    return origin(model_sha256=generator.info.sha256, seed=config.seed, index=index, truncation=config.truncation)


def _to_json(record: dict[str, Any]) -> bytes:
    return (json.dumps(record, indent=2, sort_keys=True) + "\n").encode()
