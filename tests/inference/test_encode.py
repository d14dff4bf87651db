from __future__ import annotations

import hashlib
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image, features

from genface.encode import PictureFormat, decode, encode, encode_png
from genface.errors import BrokenImageError, UserError

ORIGIN = {
    "genface:model_sha256": "0" * 64,
    "genface:seed": "7",
    "genface:index": "4711",
    "genface:truncation": "0.7",
}
LOSSLESS = [PictureFormat(level=level) for level in (None, *range(10))]
LOSSLESS += [PictureFormat(name="webp", level=level) for level in (None, *range(7))]
FORMATS = [PictureFormat(), PictureFormat(name="webp"), PictureFormat(name="jpeg"), PictureFormat(level=6)]


def gradients() -> NDArray[np.uint8]:
    y, x = np.mgrid[0:48, 0:64]
    return np.stack([(x * 4) % 256, (y * 5) % 256, ((x * y) // 7) % 256], axis=-1).astype(np.uint8)


def text_of(picture_format: PictureFormat) -> str:
    return f"{picture_format.name}-{picture_format.level}-{picture_format.quality}"


@pytest.mark.skipif(not features.check_feature("zlib_ng"), reason="the bytes are those of Pillow's own zlib-ng")
@pytest.mark.parametrize(
    ("origin", "digest"),
    [
        (ORIGIN, "055964a8109a39a1617810a1e66eadf4045ac28731879cc388d02d3cf09d2742"),
        (None, "096edf5bfc5722e0cc91dd776a4d4835c715c2d46317bdb8f671af0175449ab0"),
    ],
)
def test_a_png_has_the_bytes_that_it_always_had(origin: dict[str, str] | None, digest: str) -> None:
    # Exact: computed by the code before there were other formats, with Pillow 13.0's zlib-ng.
    assert hashlib.sha256(encode_png(gradients(), origin)).hexdigest() == digest
    assert (
        encode(gradients(), origin) == encode(gradients(), origin, PictureFormat()) == encode_png(gradients(), origin)
    )


@pytest.mark.parametrize("picture_format", LOSSLESS, ids=text_of)
@pytest.mark.parametrize("origin", [None, ORIGIN])
def test_a_lossless_format_gives_the_pixels_back(picture_format: PictureFormat, origin: dict[str, str] | None) -> None:
    assert picture_format.lossless
    noise = np.random.default_rng(0).integers(0, 256, (33, 16, 3), dtype=np.uint8)
    for pixels in (gradients(), noise):
        assert np.array_equal(decode(encode(pixels, origin, picture_format)), pixels)


@settings(max_examples=60, deadline=None)
@given(
    pixels=arrays(np.uint8, st.tuples(st.integers(8, 20), st.integers(8, 20), st.just(3))),
    picture_format=st.sampled_from(LOSSLESS),
)
def test_any_pixels_come_back(pixels: NDArray[np.uint8], picture_format: PictureFormat) -> None:
    assert np.array_equal(decode(encode(pixels, None, picture_format)), pixels)


@pytest.mark.parametrize("picture_format", FORMATS, ids=text_of)
@pytest.mark.parametrize("origin", [None, ORIGIN])
def test_equal_arguments_give_equal_bytes(picture_format: PictureFormat, origin: dict[str, str] | None) -> None:
    first = encode(gradients(), origin, picture_format)
    assert first == encode(gradients().copy(), origin, picture_format)
    # Rows of a larger array, as a batch of pictures is cut, are the same picture.
    batch = np.zeros((48, 2, 64, 3), np.uint8)
    batch[:, 1] = gradients()
    assert first == encode(batch[:, 1], origin, picture_format)


@pytest.mark.parametrize("picture_format", FORMATS, ids=text_of)
def test_the_bytes_are_of_the_format_and_decode_anywhere(picture_format: PictureFormat) -> None:
    with Image.open(io.BytesIO(encode(gradients(), ORIGIN, picture_format))) as picture:
        assert (picture.format or "").lower() == picture_format.name
        assert (picture.mode, picture.size) == ("RGB", (64, 48))
        assert Image.registered_extensions()[f".{picture_format.ending}"].lower() == picture_format.name


@pytest.mark.parametrize("picture_format", FORMATS, ids=text_of)
def test_marks_leave_the_pixels_alone(picture_format: PictureFormat) -> None:
    plain, marked = (encode(gradients(), origin, picture_format) for origin in (None, ORIGIN))
    assert len(plain) < len(marked)
    assert np.array_equal(decode(plain), decode(marked))


def test_jpeg_keeps_colour_at_full_resolution() -> None:
    stripes = np.zeros((16, 16, 3), np.uint8)
    stripes[:, ::2] = (255, 0, 0)
    stripes[:, 1::2] = (0, 0, 255)
    data = encode(stripes, None, PictureFormat(name="jpeg"))
    # Subsampled colour would make both the same purple, an error of 127; 8 is what the steps of quality 95 leave here.
    assert np.abs(decode(data).astype(int) - stripes).max() <= 8


def test_jpeg_quality_trades_bytes_for_likeness() -> None:
    pixels = gradients()
    files = [encode(pixels, None, PictureFormat(name="jpeg", quality=quality)) for quality in (10, 50, 95, 100)]
    errors = [np.abs(decode(data).astype(int) - pixels).mean() for data in files]
    assert [len(data) for data in files] == sorted(len(data) for data in files)
    assert errors == sorted(errors, reverse=True)
    assert files[2] == encode(pixels, None, PictureFormat(name="jpeg"))


@pytest.mark.parametrize(
    ("picture_format", "ending", "options", "lossless"),
    [
        (PictureFormat(), "png", {"level": None}, True),
        (PictureFormat(level=0), "png", {"level": 0}, True),
        (PictureFormat(name="webp"), "webp", {"level": 0}, True),
        (PictureFormat(name="webp", level=6), "webp", {"level": 6}, True),
        (PictureFormat(name="jpeg"), "jpg", {"quality": 95}, False),
        (PictureFormat(name="jpeg", quality=80), "jpg", {"quality": 80}, False),
    ],
)
def test_what_a_format_says_of_itself(
    picture_format: PictureFormat, ending: str, options: dict[str, Any], lossless: bool
) -> None:
    assert (picture_format.ending, picture_format.options, picture_format.lossless) == (ending, options, lossless)
    again = PictureFormat.from_manifest(picture_format.name, picture_format.options)
    assert encode(gradients(), ORIGIN, again) == encode(gradients(), ORIGIN, picture_format)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "gif"}, "unknown picture format 'gif'; known: png, webp, jpeg"),
        ({"name": "PNG"}, "unknown picture format 'PNG'"),
        ({"level": 10}, "png takes a level from 0 to 9, not 10"),
        ({"level": -1}, "png takes a level from 0 to 9, not -1"),
        ({"level": True}, "not True"),
        ({"level": 1.0}, "not 1.0"),
        ({"level": "6"}, "not '6'"),
        ({"name": "webp", "level": 7}, "webp takes a level from 0 to 6, not 7"),
        ({"name": "jpeg", "quality": 0}, "jpeg takes a quality from 1 to 100, not 0"),
        ({"name": "jpeg", "quality": 101}, "jpeg takes a quality from 1 to 100, not 101"),
        ({"name": "jpeg", "level": 1}, "jpeg has no level; what can be set is its quality"),
        ({"quality": 95}, "png has no quality; what can be set is its level"),
        ({"name": "webp", "quality": 95}, "webp has no quality"),
    ],
)
def test_settings_that_a_format_does_not_have_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as raised:
        PictureFormat(**options)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("name", "options"),
    [(None, {}), ("png", None), ("png", []), ("png", {"strategy": 3}), ("gif", {}), (["png"], {}), ("png", {1: 2})],
)
def test_a_manifest_cannot_name_what_is_not_there(name: Any, options: Any) -> None:
    with pytest.raises(UserError):
        PictureFormat.from_manifest(name, options)


def test_a_pillow_without_webp_is_told_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda feature: feature != "webp")
    PictureFormat()
    PictureFormat(name="jpeg")
    with pytest.raises(UserError, match=r"Pillow was built without webp.*pip install"):
        PictureFormat(name="webp")


def test_a_picture_that_is_too_large_for_its_format_is_refused() -> None:
    pixels = np.zeros((8, 16_384, 3), np.uint8)
    with pytest.raises(UserError, match="16384x8 pixels cannot be written as webp"):
        encode(pixels, None, PictureFormat(name="webp"))
    assert len(encode(pixels, None)) > 0


def test_texts_too_long_for_a_jpeg_are_refused() -> None:
    with pytest.raises(UserError, match="cannot be written as jpeg"):
        encode(gradients(), {"genface:inputs": "x" * 70_000}, PictureFormat(name="jpeg"))


@pytest.mark.parametrize("data", [b"", b"text", encode_png(gradients(), None)[:200]])
def test_what_is_no_picture_is_not_decoded(data: bytes) -> None:
    with pytest.raises(BrokenImageError, match="face"):
        decode(data, "face")
