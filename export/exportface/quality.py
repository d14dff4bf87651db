"""What a smaller form of a generator saves, and what it costs in speed, pixels and features."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from evalface.extractors.base import Extractor
from evalface.frechet import Gaussian
from exportface.drawn import Drawn
from genface.latents import latents

N = 2000
SEED = 20_231_111
"""Seed of the latents; those of the floor have the next one. Neither is calibrated on."""
_ROUNDS = 15


@dataclass(frozen=True, kw_only=True)
class Cost:
    """A form against its reference, on the same latents; both drawn by genface's default provider."""

    images: int
    bytes: int
    reference_bytes: int
    speed: float
    """Times as fast as the reference: the median of paired runs on one thread, in genface's blocks."""
    mean_error: float
    """Mean absolute difference of the pictures, in levels of 255."""
    max_error: int
    identical: float
    """Share of equal uint8 values."""
    frechet: float
    """Frechet distance of the form's pictures to the reference's, in the extractor's features."""
    floor: float
    """The same between the reference's pictures of other latents and these: what chance alone makes at this number."""


def cost(
    model: onnx.ModelProto,
    reference: onnx.ModelProto,
    z_dim: int,
    *,
    n: int = N,
    extractor: Extractor | None = None,
) -> Cost:
    """Draw `n` pictures, at least 2, of either graph and compare them; `extractor` is EfficientNet-Lite0 by default.

    The distance is biased upwards by about c / n, but less so between pictures of the same latents, which share their
    chances: hold it against `floor`, and against the reference's own distance to real faces at the same n.
    """
    if extractor is None:
        from evalface.extractors.lite0 import Lite0

        extractor = Lite0()
    form, original = Drawn(model), Drawn(reference)
    z, others = (latents(seed, range(n), z_dim) for seed in (SEED, SEED + 1))
    pictures, expected = form.draw(z), original.draw(z)
    deltas = np.abs(pictures.astype(np.int16) - expected)
    gaussian = _gaussian(expected, extractor)
    return Cost(
        images=n,
        bytes=model.ByteSize(),
        reference_bytes=reference.ByteSize(),
        speed=speed_ratio(lambda: form.draw(z[: form.block]), lambda: original.draw(z[: form.block])),
        mean_error=float(deltas.mean()),
        max_error=int(deltas.max()),
        identical=float(np.mean(deltas == 0)),
        frechet=gaussian.distance_to(_gaussian(pictures, extractor)),
        floor=gaussian.distance_to(_gaussian(original.draw(others), extractor)),
    )


def speed_ratio(form: Callable[[], Any], reference: Callable[[], Any], rounds: int = _ROUNDS) -> float:
    """How many times as fast `form` is: the median over pairs of runs that follow each other.

    In processor time, which what else runs on the machine disturbs least; sessions of one thread use one processor.
    """
    form(), reference()  # warm up
    return statistics.median(_seconds(reference) / _seconds(form) for _ in range(rounds))


def _gaussian(pictures: NDArray[np.uint8], extractor: Extractor) -> Gaussian:
    blocks = [pictures[start : start + 32] for start in range(0, len(pictures), 32)]
    return Gaussian.of(np.concatenate([extractor.features(block) for block in blocks]))


def _seconds(run: Callable[[], Any]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start
