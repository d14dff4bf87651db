"""Where a command takes its latents from: a seed, or a file; either way they have indices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genface.errors import UserError
from genface.latents import MAX_INDEX, latents
from genface.latents_file import latents_sha256, read_latents
from genface.model import Generator
from genface.provenance import origin


@dataclass(frozen=True, kw_only=True)
class LatentSource:
    """Latents by index, and what pictures that are drawn from them say of their origin."""

    name: str
    count: int
    """Indices run from 0 to count - 1."""
    latents: Callable[[Sequence[int]], NDArray[np.float32]]
    origin: Mapping[str, str]
    """What the marks say of pictures drawn from it, but for their indices."""

    def consecutive(self, start: int, n: int, *, or_fewer: bool = False) -> range:
        """The indices from `start` on, `n` of them, or as many as there are. Raises UserError when there are not."""
        n = min(n, self.count - start) if or_fewer else n
        if n < 1 or not 0 <= start <= self.count - n:
            raise UserError(
                f"{self.name} has the indices 0 to {self.count - 1:,}: there are no {max(n, 1):,} from {start:,} on"
            )
        return range(start, start + n)

    def listed(self, text: str) -> list[int]:
        """The indices that a person has written with commas. Raises UserError for what is none."""
        try:
            indices = [int(word) for word in text.split(",")]
        except ValueError:
            raise UserError(f"--indices takes whole numbers with commas, e.g. 3,17,4711, not {text!r}") from None
        for index in indices:
            if not 0 <= index < self.count:
                raise UserError(f"{self.name} has the indices 0 to {self.count - 1:,}: there is no {index}")
        return indices

    def marks(self, indices: Sequence[int]) -> dict[str, str]:
        """The texts of an image or film of these pictures."""
        in_short = f"{indices[0]}-{indices[-1]}" if isinstance(indices, range) else ",".join(map(str, indices))
        return {**self.origin, "genface:indices": in_short}


def latent_source(generator: Generator, seed: int, truncation: float | None, path: Path | None) -> LatentSource:
    """Latents of a seed, or of a file when there is one. Raises UserError when they contradict each other."""
    info = generator.info
    if path is None:
        sha256 = None
        latents(seed, [], info.z_dim, truncation=truncation)  # refuses what is out of range
    elif seed or truncation is not None:
        raise UserError("--latents takes the place of --seed and --truncation: leave them out")
    else:
        rows = read_latents(path, info.z_dim)
        sha256 = latents_sha256(rows)
    texts = origin(
        model_sha256=info.sha256,
        seed=seed,
        index=0,
        truncation=truncation,
        latents_sha256=sha256,
        inputs=info.inputs,
    )
    del texts["genface:index"]  # an image of many pictures has many
    if path is None:
        return LatentSource(
            name=f"seed {seed}",
            count=MAX_INDEX + 1,
            latents=lambda indices: latents(seed, indices, info.z_dim, truncation=truncation),
            origin=texts,
        )
    return LatentSource(
        name=str(path), count=len(rows), latents=lambda indices: rows[np.asarray(indices)], origin=texts
    )
