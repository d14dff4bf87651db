"""Pictures that are not what the manifest says, and marks that lie: named, not refused."""

from __future__ import annotations

import runpy
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genface.encode import PictureFormat, encode
from genface.verify import verify_archive

by_hand = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("drawn_by_hand.py"))))
FORMATS, N, as_fields = by_hand.FORMATS, by_hand.N, by_hand.as_fields


def test_a_changed_picture_is_named(draw_by_hand: Callable[..., Any]) -> None:
    drawn = draw_by_hand()
    pixels = drawn.pixels(3)
    pixels[5, 5, 1] ^= 2
    drawn.write(3, pixels)
    result = verify_archive(drawn.path, drawn.generator)
    assert not result.ok
    assert (result.different, result.wrong_marks, result.same_bytes) == (("000003.png",), (), N - 1)
    assert "000003.png: differs by up to 2 levels" in result.describe()
    assert result.describe().endswith("the archive is NOT what its manifest says")
    assert result.to_dict()["different"] == ["000003.png"]


@pytest.mark.parametrize("quality", [100, 95, 80])
def test_a_jpeg_that_was_touched_up_is_told(draw_by_hand: Callable[..., Any], quality: int) -> None:
    drawn = draw_by_hand(image_format="jpeg", image_options={"quality": quality})
    drawn.write(2, drawn.pixels(3))
    patched = drawn.pixels(5)
    patched[4:8, 4:8] = patched[4:8, 4:8, ::-1]
    drawn.write(5, patched)
    result = verify_archive(drawn.path, drawn.generator)
    assert sorted(result.different) == ["000002.jpg", "000005.jpg"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"text", "not a picture"),
        (encode(np.zeros((16, 16, 3), np.uint8), None)[:45], "cannot be decoded"),
        (encode(np.zeros((16, 24, 3), np.uint8), None), "has 24x16 pixels, not 16x16"),
    ],
)
def test_a_broken_picture_is_a_finding_not_an_error(draw_by_hand: Callable[..., Any], data: bytes, reason: str) -> None:
    drawn = draw_by_hand()
    (drawn.path / "000007.png").write_bytes(data)
    result = verify_archive(drawn.path, drawn.generator)
    assert result.different == ("000007.png",)
    assert f"000007.png: {reason}" in result.describe()


@pytest.mark.parametrize("picture_format", FORMATS, ids=repr)
@pytest.mark.parametrize(
    ("key", "text", "reason"),
    [
        ("genface:seed", "6", "its mark genface:seed is '6', not '5'"),
        ("genface:index", "5", "its mark genface:index is '5', not '4'"),
        ("genface:model_sha256", "0" * 64, "its mark genface:model_sha256 is"),
        ("genface:truncation", "0.5", "its mark genface:truncation is '0.5', not missing"),
        ("genface:seed", None, "its mark genface:seed is missing, not '5'"),
    ],
)
def test_wrong_marks_are_named(
    draw_by_hand: Callable[..., Any], picture_format: PictureFormat, key: str, text: str | None, reason: str
) -> None:
    drawn = draw_by_hand(**as_fields(picture_format))
    marks = drawn.record.origin(4) | {key: text or ""}
    if text is None:
        del marks[key]
    drawn.write(4, drawn.pixels(4), marks)
    result = verify_archive(drawn.path, drawn.generator)
    assert (result.ok, result.wrong_marks, result.different) == (False, (drawn.name(4),), ())
    assert result.same_pixels == 1
    assert reason in result.describe()


def test_marks_that_are_missing_or_denied_are_named(draw_by_hand: Callable[..., Any]) -> None:
    drawn = draw_by_hand()
    (drawn.path / "000001.png").write_bytes(encode(drawn.pixels(1), None))
    result = verify_archive(drawn.path, drawn.generator)
    assert result.reasons == ("000001.png: is not marked as machine-made",)
    drawn.write_manifest(marked=False)
    result = verify_archive(drawn.path, drawn.generator)
    assert len(result.wrong_marks) == N - 1
    assert "is marked, which its manifest denies" in result.describe()
    assert "... and 14 more" in result.describe()
