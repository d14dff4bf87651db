"""On the developers' real faces: what holds on noise and cartoons holds on photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from evalface.extractors.lite0 import Lite0
from evalface.neighbours import leave_one_out
from genface.photos import Preparation, prepare_many
from genface.sources import open_source

DATA = Path(__file__).parents[2] / "shared" / "data"

pytestmark = [
    pytest.mark.real_faces,
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="needs the developers' ../shared/data"),
]


def first_faces(name: str, num: int) -> NDArray[np.uint8]:
    with open_source(DATA / name) as source:
        faces = list(prepare_many(source, Preparation(size=64), source.names[:num]))
    assert [face.broken for face in faces] == [None] * num
    return np.stack([face.pixels for face in faces if face.pixels is not None])


def test_cats_and_people_are_told_apart_and_cats_are_not_told_from_cats() -> None:
    extractor = Lite0()
    cats = extractor.features(first_faces("afhq-cat-256.zip", 300))
    people = extractor.features(first_faces("lfw-aligned-150.zip", 150))
    assert leave_one_out(cats[:150], people).accuracy > 0.98
    # Two random halves: chance, within four binomial deviations of 300 pictures, widened by neighbours' dependence.
    order = np.random.default_rng(0).permutation(300)
    assert leave_one_out(cats[order[:150]], cats[order[150:]]).accuracy == pytest.approx(0.5, abs=0.15)
