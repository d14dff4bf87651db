"""Which pictures a report shows, and that they are the ones it names."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from evalface.noteworthy import Noteworthy
from evalface.panels import SidePictures, choices, contact_sheet, duplicate_pairs, panels, sample_sheet


class Side:
    """Faces of one level each: level 2 * i for row i."""

    def __init__(self, n: int) -> None:
        self.asked: list[list[int]] = []
        self.pictures = SidePictures(names=[f"{i}.png" for i in range(n)], read=self.read)

    def read(self, rows: Sequence[int]) -> list[NDArray[np.uint8]]:
        self.asked.append(list(rows))
        return [np.full((8, 8, 3), 2 * row, np.uint8) for row in rows]


def level(png: bytes) -> int:
    with Image.open(io.BytesIO(png)) as image:
        return int(np.asarray(image)[0, 0, 0])


def rows(*values: int) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def test_faces_are_those_that_are_named_and_each_is_read_once() -> None:
    found = Noteworthy(
        easiest_fakes=rows(3, 1),
        uncovered_reals=rows(),
        copying_fakes=rows(1, 2),
        copied_reals=rows(4, 4),
        copying_ratios=np.array([0.125, 0.5]),
    )
    real, fake = Side(6), Side(5)
    shown = panels(choices(found, []), real.pictures, fake.pictures)
    assert [panel.key for panel in shown] == ["easiest_fakes", "copies"], "empty ones are left out"
    assert (real.asked, fake.asked) == ([[4]], [[1, 2, 3]])
    for panel in shown:
        for item in panel.items:
            for face in item.faces:
                assert level(face.png) == 2 * int(face.name.removesuffix(".png"))
    assert [item.caption for item in shown[1].items] == ["0.12", "0.50"]
    assert shown[1].to_list()[0]["faces"] == [{"side": "fake", "name": "1.png"}, {"side": "real", "name": "4.png"}]


def test_duplicate_pairs_are_equal_ones_then_near_ones() -> None:
    # Rows 0, 3 and 5 are equal, 1 and 4 near; 2 is alone, and 6 near to 2 but beyond the threshold.
    features = np.array([[0, 0], [9, 0], [0, 50], [0, 0], [9, 0.5], [0, 0], [0, 53]], np.float32)
    whole = rows(10, 11, 12, 13, 14, 15, 16)
    found = duplicate_pairs(features, whole, threshold=2.0, seed=0)
    assert [choice.caption for choice in found] == ["equal, 3 times", "distance 0.5"]
    assert found[0].rows == (("fake", 10), ("fake", 13))
    assert sorted(found[1].rows) == [("fake", 11), ("fake", 14)]
    assert len(duplicate_pairs(features, whole, threshold=4.0, seed=0)) == 3
    assert len(duplicate_pairs(features, whole, threshold=4.0, seed=0, at_most=1)) == 1


@pytest.mark.parametrize(("n", "grid"), [(1, (8, 8)), (5, (24, 16)), (100, (48, 48))])
def test_sample_sheets_are_seeded_and_bounded(n: int, grid: tuple[int, int]) -> None:
    side = Side(n)
    sheets = [sample_sheet(side.pictures, seed) for seed in (0, 0, 1)]
    assert sheets[0] == sheets[1]
    assert len(set(side.asked[0])) == min(n, 36)
    if n > 36:
        assert side.asked[0] != side.asked[2]
    with Image.open(io.BytesIO(sheets[0])) as image:
        assert image.size == grid


def test_large_faces_are_made_smaller() -> None:
    with Image.open(io.BytesIO(contact_sheet([np.zeros((512, 512, 3), np.uint8)] * 4))) as image:
        assert image.size == (768, 768)
