from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from evalface.extractors.base import Extractor
from exportface.quality import cost, speed_ratio
from exportface.to_fp16 import to_fp16
from exportface.to_int8 import to_int8


class Coarse(Extractor):
    """Means of 8x8 pixels: features that cost nothing."""

    name = title = "coarse"
    version = 1

    def features(self, block: np.ndarray) -> np.ndarray:
        n, height, width, _ = block.shape
        return block.reshape(n, height // 8, 8, width // 8, 8, 3).mean((2, 4)).reshape(n, -1).astype(np.float32)


def test_the_reference_itself_costs_nothing(exported: Any) -> None:
    made = exported("tiny")
    found = cost(made.model, made.model, made.config.z_dim, n=40, extractor=Coarse())
    assert (found.images, found.bytes) == (40, found.reference_bytes)
    assert (found.mean_error, found.max_error, found.identical) == (0.0, 0, 1.0)
    # Zero but for rounding in float64, of variances about 1e3.
    assert found.frechet == pytest.approx(0.0, abs=1e-6)
    assert found.floor > 1.0
    # Two runs of one graph; the bounds leave room for a busy machine.
    assert 0.5 < found.speed < 2.0


def test_coarser_numbers_cost_more_and_take_less_room(exported: Any) -> None:
    made = exported("s64")
    int8 = to_int8(made.model, made.config.z_dim, lambda line: None)
    halved, quartered = (
        cost(model, made.model, made.config.z_dim, n=32, extractor=Coarse())
        for model in (to_fp16(made.model), int8.model)
    )
    assert quartered.bytes < halved.bytes < halved.reference_bytes
    assert 0 < halved.mean_error < quartered.mean_error
    assert halved.max_error <= quartered.max_error
    assert halved.identical > quartered.identical
    assert halved.frechet < quartered.frechet < quartered.floor


def test_speed_is_that_of_the_reference_over_the_forms() -> None:
    def work(seconds: float) -> None:
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass

    assert speed_ratio(lambda: work(0.004), lambda: work(0.012), rounds=5) == pytest.approx(3.0, rel=0.2)
