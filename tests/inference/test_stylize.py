"""A stylizer draws a photo of any size in tiles, in one style or a mixture."""

from __future__ import annotations

import runpy
import types
from pathlib import Path

import numpy as np
import pytest

from genface.errors import UserError
from genface.style_card import StyleCard
from genface.stylizer import THUMBNAIL, Stylizer, style_weights

tiny_style = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("tiny_style.py"))))
CARD, STYLES, build, photo_of = tiny_style.CARD, tiny_style.STYLES, tiny_style.build, tiny_style.photo_of


# Tiles


def test_the_result_does_not_depend_on_the_tiles(stylizer: Stylizer) -> None:
    """Within one level, on at most two values in a thousand: windows of other sizes may sum in another order."""
    photo = photo_of(150, THUMBNAIL + 91)
    weights = stylizer.weights(["waves"])
    whole = stylizer.stylize(photo, weights, tile=4096)
    assert np.abs(whole.astype(int) - photo).mean() > 10  # it does something
    for tile in (64, 130, 257):
        told: list[tuple[int, int]] = []
        pieces = stylizer.stylize(photo, weights, tile=tile, done=lambda *now, told=told: told.append(now))
        difference = np.abs(pieces.astype(int) - whole)
        assert difference.max() <= 1
        assert (difference > 0).mean() <= 0.002
        assert told[-1] == (len(told), len(told))
        assert len(told) > 2


def test_too_small_an_overlap_would_be_seen(tmp_path: Path) -> None:
    path = tmp_path / "narrow.onnx"
    path.write_bytes(build(StyleCard(**{**vars(CARD), "margin": 1})))
    narrow = Stylizer(path)
    photo = photo_of(64, THUMBNAIL + 91)
    weights = narrow.weights(["1"])
    whole, pieces = (narrow.stylize(photo, weights, tile=tile).astype(int) for tile in (4096, 64))
    assert np.abs(whole - pieces).max() > 1


def test_norms_of_the_whole_photo_hold_the_tiles_together(stylizer: Stylizer) -> None:
    """A part that is drawn as a photo of its own comes out otherwise, since its means are others."""
    photo = photo_of(100, THUMBNAIL + 100)
    weights = stylizer.weights(["waves"])
    whole = stylizer.stylize(photo, weights, tile=100)
    alone = stylizer.stylize(photo[:, :100], weights)
    assert np.abs(whole[:, :90].astype(int) - alone[:, :90]).mean() > 3


def test_a_photo_just_over_one_piece_looks_like_one_just_under(stylizer: Stylizer) -> None:
    """The norms of a thumbnail that is hardly smaller are hardly others."""
    photo = photo_of(90, THUMBNAIL + 2)
    weights = stylizer.weights(["ash"])
    over = stylizer.stylize(photo, weights).astype(int)
    under = stylizer.stylize(np.ascontiguousarray(photo[:, :THUMBNAIL]), weights)
    assert np.abs(over[:, : THUMBNAIL - 8] - under[:, :-8]).mean() < 2


def test_threads_change_nothing(style_file: Path, stylizer: Stylizer) -> None:
    photo = photo_of(100, THUMBNAIL + 60)
    alone = Stylizer(style_file, threads=1)
    weights = alone.weights(["2"])
    np.testing.assert_array_equal(alone.stylize(photo, weights, tile=90), stylizer.stylize(photo, weights, tile=90))


@pytest.mark.parametrize("shape", [(8, 8), (9, 31), (37, 8), (8, 2000), (65, 64)])
def test_any_size(stylizer: Stylizer, shape: tuple[int, int]) -> None:
    photo = photo_of(*shape)
    assert stylizer.stylize(photo, stylizer.weights(["1"])).shape == (*shape, 3)


# Weights


def test_strength_is_shared_with_the_photo(stylizer: Stylizer) -> None:
    photo = photo_of(30, 40)
    np.testing.assert_array_equal(stylizer.stylize(photo, stylizer.weights(["waves"], 0)), photo)
    np.testing.assert_array_equal(stylizer.stylize(photo, stylizer.weights(["0"])), photo)
    half, full = (stylizer.stylize(photo, stylizer.weights(["waves"], s)).astype(int) for s in (0.5, 1))
    assert 0 < np.abs(half - photo).mean() < np.abs(full - photo).mean()


@pytest.mark.parametrize(
    ("chosen", "strength", "weights"),
    [
        (["waves"], 1, [0, 1, 0, 0]),
        (["3"], 0.75, [0.25, 0, 0, 0.75]),
        (["0"], 0.5, [1, 0, 0, 0]),
        (["dots: red"], 1, [0, 0, 1, 0]),
        (["dots: red:0.25", "1:0.75"], 1, [0, 0.75, 0.25, 0]),
        (["1", "ash"], 0.5, [0.5, 0.25, 0, 0.25]),
        (["0:0.5", "ash:0.5"], 0.5, [0.75, 0, 0, 0.25]),
    ],
)
def test_weights_of_styles(chosen: list[str], strength: float, weights: list[float]) -> None:
    np.testing.assert_allclose(style_weights(STYLES, chosen, strength), weights)


@pytest.mark.parametrize(
    ("chosen", "strength", "message"),
    [
        (["sand"], 1, r"no style 'sand'; there are: 0 \(the photo itself\), 1 \(waves\), 2 \(dots: red\), 3 \(ash\)"),
        (["4"], 1, "no style '4'"),
        (["-1"], 1, "no style '-1'"),
        (["waves:much"], 1, "--style takes a style or STYLE:WEIGHT, e.g. waves:0.5, not 'waves:much'"),
        (["waves:0.5", "ash:0.6"], 1, "must sum to 1"),
        (["waves:1.5", "ash:-0.5"], 1, "not negative"),
        (["waves:0.5", "ash"], 1, "some have a weight"),
        (["waves", "1"], 1, "chosen twice"),
        ([], 1, "choose a style"),
        (["waves"], 1.1, r"strength must be from 0 \(the photo\) to 1 \(the style alone\), not 1.1"),
        (["waves"], float("nan"), "not nan"),
    ],
)
def test_choices_that_cannot_be(chosen: list[str], strength: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        style_weights(STYLES, chosen, strength)
