"""Tiles cover a picture, each pixel once, and keep away from the borders that they have made."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genface.errors import UserError
from genface.tiles import tiles


@given(
    height=st.integers(8, 300),
    width=st.integers(8, 300),
    inside=st.integers(1, 90),
    margin=st.integers(0, 40),
    stride=st.sampled_from([1, 2, 4, 8]),
)
@settings(max_examples=60, deadline=None)
def test_cores_cover_the_picture_and_keep_away_from_borders(
    height: int, width: int, inside: int, margin: int, stride: int
) -> None:
    tile = 2 * margin + stride + inside
    seen = np.zeros((height, width), dtype=int)
    for piece in tiles(height, width, tile=tile, margin=margin, stride=stride):
        seen[piece.core] += 1
        window = np.arange(height * width).reshape(height, width)[piece.window]
        np.testing.assert_array_equal(window[piece.kept], np.arange(height * width).reshape(height, width)[piece.core])
        for span, length in ((piece.rows, height), (piece.cols, width)):
            assert span.start % stride == 0
            assert 0 <= span.start <= span.first < span.last <= span.stop <= length
            assert span.stop - span.start <= tile
            assert span.first - span.start >= margin or span.start == 0 == span.first
            assert span.stop - span.last >= margin or span.stop == length == span.last
    assert (seen == 1).all()


def test_a_picture_that_fits_is_one_tile() -> None:
    (piece,) = tiles(60, 64, tile=64, margin=40, stride=4)
    assert piece.window == piece.core == (slice(0, 60), slice(0, 64))


def test_a_tile_without_inside_is_refused() -> None:
    with pytest.raises(UserError, match="a tile of 83 px has no inside, since the network reaches 40 px"):
        tiles(100, 100, tile=83, margin=40, stride=4)
