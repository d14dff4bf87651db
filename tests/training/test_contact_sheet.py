from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from genface.photos import Preparation
from trainface.data.contact_sheet import FACES_AT_MOST, contact_sheet
from trainface.data.dataset import FaceSet, open_faces


@pytest.mark.parametrize(("n", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (5, 3, 2), (64, 8, 8)])
def test_all_of_a_few_faces_are_shown_in_order(faces: FaceSet, n: int, columns: int, rows: int) -> None:
    few = replace(faces, images=faces.images[:n], names=faces.names[:n], digests=faces.digests[:n])
    sheet = np.asarray(contact_sheet(few))
    assert sheet.shape == (rows * 16, columns * 16, 3)
    for index, image in enumerate(few.images):
        top, left = index // columns * 16, index % columns * 16
        np.testing.assert_array_equal(sheet[top : top + 16, left : left + 16], image)


def test_of_many_faces_a_hundred_are_chosen_evenly(faces: FaceSet) -> None:
    n = 1000
    images = np.zeros((n, 16, 16, 3), np.uint8)
    images[..., 0], images[..., 1] = (np.arange(n) // 250)[:, None, None], (np.arange(n) % 250)[:, None, None]
    many = replace(faces, images=images, names=[f"{i}.png" for i in range(n)], digests=["0" * 64] * n)
    corners = np.asarray(contact_sheet(many))[::16, ::16].reshape(-1, 3).astype(int)
    shown = corners[:, 0] * 250 + corners[:, 1]
    assert len(shown) == FACES_AT_MOST
    assert (shown[0], shown[-1]) == (0, n - 1)
    assert set(np.diff(shown)) <= {10, 11}


def test_large_faces_are_shown_smaller() -> None:
    assert contact_sheet(open_faces("builtin:cartoons:2", Preparation(size=256))).size == (256, 128)
