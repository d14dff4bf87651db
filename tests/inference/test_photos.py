from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from genface.errors import BrokenImageError, UserError
from genface.photos import Preparation, decode, prepare, prepare_many, settle_broken
from genface.sources import open_source


def encoded(image: Image.Image, kind: str = "png", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(width: int = 24, height: int = 16) -> Image.Image:
    """Red grows to the right, green grows downwards: every turn and mirroring of it differs."""
    red = np.broadcast_to(np.linspace(0, 255, width), (height, width))
    green = np.broadcast_to(np.linspace(0, 255, height)[:, None], (height, width))
    return Image.fromarray(np.stack([red, green, np.zeros_like(red)], axis=-1).astype(np.uint8))


def pixels(image: Image.Image) -> Any:
    return np.asarray(image).astype(int)


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff", "ppm", "tga", "webp"])
def test_lossless_formats_come_back_as_they_were(kind: str) -> None:
    options = {"lossless": True} if kind == "webp" else {}
    decoded = decode(encoded(gradient(), kind, **options), f"a.{kind}")
    assert decoded.mode == "RGB"
    np.testing.assert_array_equal(pixels(decoded), pixels(gradient()))


@pytest.mark.parametrize("kind", ["jpeg", "webp", "jpeg2000"])
def test_lossy_formats_come_back_nearly(kind: str) -> None:
    decoded = decode(encoded(gradient(), kind), "a")
    # Quality 75 to 80 with halved colour resolution keeps a smooth gradient within a few levels on average.
    assert np.abs(pixels(decoded) - pixels(gradient())).mean() < 6


@pytest.mark.parametrize(
    ("orientation", "stored_from_upright"),
    [
        (1, None),
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
        (3, Image.Transpose.ROTATE_180),
        (4, Image.Transpose.FLIP_TOP_BOTTOM),
        (5, Image.Transpose.TRANSPOSE),
        (6, Image.Transpose.ROTATE_90),
        (7, Image.Transpose.TRANSVERSE),
        (8, Image.Transpose.ROTATE_270),
    ],
)
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_exif_orientation_is_applied(orientation: int, stored_from_upright: Any, kind: str) -> None:
    # Stored pixels as a camera held that way leaves them: the inverse of the turn that the tag asks for.
    stored = gradient() if stored_from_upright is None else gradient().transpose(stored_from_upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(pixels(decode(encoded(stored, kind, exif=exif), "a")), pixels(gradient()))


def test_alpha_is_laid_over_white() -> None:
    image = gradient().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    alpha = pixels(image)[..., 3:] / 255
    expected = pixels(gradient()) * alpha + 255 * (1 - alpha)
    assert np.abs(pixels(decode(encoded(image), "a.png")) - expected).max() <= 1


def test_gray_with_alpha() -> None:
    image = Image.new("LA", (8, 8), (100, 0))
    assert set(pixels(decode(encoded(image), "a.png")).ravel()) == {255}


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_a_transparent_colour_is_laid_over_white(mode: str) -> None:
    image = Image.new("RGB", (8, 8), "white")
    image.paste((0, 0, 0), (0, 0, 4, 8))
    image.paste((90, 90, 90), (4, 0, 8, 4))
    converted = image.quantize(3) if mode == "P" else image.convert(mode)
    key = converted.getpixel((0, 0))
    decoded = pixels(decode(encoded(converted, transparency=key), "a.png"))
    assert (decoded[:, :4] == 255).all()
    assert (decoded[:4, 4:] == 90).all()


def test_palette() -> None:
    image = gradient().quantize(16)
    np.testing.assert_array_equal(pixels(decode(encoded(image), "a.png")), pixels(image.convert("RGB")))


def test_one_bit_and_gray() -> None:
    gray = Image.linear_gradient("L").resize((16, 16))
    decoded = pixels(decode(encoded(gray), "a.png"))
    np.testing.assert_array_equal(decoded, np.repeat(pixels(gray)[..., None], 3, axis=-1))
    assert set(pixels(decode(encoded(gray.convert("1")), "a.png")).ravel()) == {0, 255}


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_sixteen_bits_are_scaled_not_cut(kind: str) -> None:
    levels = np.array([0, 128, 257, 257 * 100, 65535 - 128, 65535, 1, 40000], dtype=np.uint16)
    image = Image.fromarray(np.tile(levels, (8, 1)))
    decoded = pixels(decode(encoded(image, kind), "a"))
    np.testing.assert_array_equal(decoded[0, :, 0], np.rint(levels / 257))


def test_cmyk() -> None:
    decoded = pixels(decode(encoded(gradient().convert("CMYK"), "jpeg", quality=95), "a.jpg"))
    assert np.abs(decoded - pixels(gradient())).mean() < 4


@pytest.mark.parametrize("kind", ["gif", "png", "webp"])
def test_the_first_frame_of_an_animation_counts(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if kind == "webp" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=50, **options)
    assert pixels(decode(data, "a"))[0, 0].tolist() == [255, 0, 0]


def png_of_size(width: int, height: int) -> bytes:
    """A .png whose header declares a size that its data does not have."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"dear diary\n" * 40, "not a picture"),
        (b"\x89PNG\r\n\x1a\n", "picture|decoded"),
        (encoded(gradient())[:-40], "cannot be decoded"),
        (encoded(gradient(), "jpeg")[:-60], "cannot be decoded"),
        (encoded(gradient(), "webp")[:60], "picture|decoded"),
        (encoded(gradient(), "gif")[:40], "picture|decoded"),
        (encoded(gradient(), "tiff")[:-20], "picture|decoded"),
        (encoded(gradient()).replace(b"IDAT", b"IDAX"), "picture|decoded"),
        (encoded(Image.new("RGB", (7, 100))), "7x100: sides must be 8 to"),
        (png_of_size(40_000, 8), "40000x8: sides must be"),
        (png_of_size(10_000, 10_000), "pixels"),
        (png_of_size(30_000, 30_000), "pixels"),
        (encoded(Image.new("F", (16, 16), 0.5), "tiff"), "floating-point"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "not a picture"),
    ],
)
def test_what_is_broken_is_named(data: bytes, reason: str) -> None:
    with pytest.raises(BrokenImageError, match=rf"^some/photo\.png: .*({reason})") as caught:
        decode(data, "some/photo.png")
    assert caught.value.name == "some/photo.png"
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb_is_broken_whatever_the_warnings_filter_says() -> None:
    with pytest.raises(BrokenImageError, match="declares more than"):
        decode(png_of_size(10_000, 10_000), "a.png")


def test_importing_leaves_the_warnings_filter_alone() -> None:
    code = "import warnings, genface.photos; print([f for f in warnings.filters if 'PIL' in f[2].__module__])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["png", "jpeg", "gif", "webp", "bmp"]),
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_damage_breaks_a_picture_and_nothing_else(kind: str, damage: list[tuple[float, int]]) -> None:
    data = bytearray(encoded(gradient(), kind))
    for place, value in damage:
        data[int(place * len(data))] = value
    with suppress(BrokenImageError):  # any other exception fails the test
        assert decode(bytes(data), "a").mode == "RGB"


def test_prepare_crops_the_centre() -> None:
    upright = Image.new("RGB", (60, 120), "red")
    upright.paste("blue", (0, 30, 60, 90))
    for image in (upright, upright.transpose(Image.Transpose.ROTATE_90)):
        face = pixels(prepare(image, Preparation(size=12)))
        # The filter may look beyond the square, so that its outermost ring holds a trace of the surroundings.
        assert (face[3:-3, 3:-3] == (0, 0, 255)).all()
        assert np.abs(face - (0, 0, 255)).max() < 32


def test_prepare_is_antialiased() -> None:
    stripes = Image.fromarray(np.tile(np.array([0, 255], dtype=np.uint8), (64, 32)))
    prepared = pixels(prepare(stripes.convert("RGB"), Preparation(size=8)))
    assert np.abs(prepared - 127.5).max() < 20  # nearest neighbours would give 0 or 255


@pytest.mark.parametrize("size", [8, 16, 33, 64])
def test_prepare_gives_the_size_and_keeps_a_prepared_face(size: int) -> None:
    once = prepare(gradient(), Preparation(size=size))
    assert once.size == (size, size)
    np.testing.assert_array_equal(pixels(prepare(once, Preparation(size=size))), pixels(once))


def test_prepare_turns_with_the_photo() -> None:
    """Turning and preparing commute, up to the rounding of the two passes of the resize."""
    photo = gradient(40, 30)
    turned = prepare(photo.transpose(Image.Transpose.ROTATE_180), Preparation(size=16))
    assert (
        np.abs(
            pixels(turned.transpose(Image.Transpose.ROTATE_180)) - pixels(prepare(photo, Preparation(size=16)))
        ).max()
        <= 1
    )


@pytest.mark.parametrize("size", [7, 1025, 64.0, "64", True])
def test_preparation_refuses_sizes(size: Any) -> None:
    with pytest.raises(UserError, match="size must be"):
        Preparation(size=size)


@pytest.mark.parametrize("change", [{"crop": "nose"}, {"resample": "nearest"}])
def test_preparation_refuses_unknown_rules(change: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="unknown"):
        Preparation(size=64, **change)


def test_preparation_survives_a_record() -> None:
    preparation = Preparation(size=96)
    assert Preparation.from_dict(preparation.to_dict()) == preparation
    for record in ({}, {"size": 64, "colour": "sepia"}):
        with pytest.raises(UserError, match="not a preparation record"):
            Preparation.from_dict(record)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Twenty photos of different sizes, two of them broken."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(20):
        (folder / f"{index:02d}.png").write_bytes(encoded(gradient(20 + index, 30)))
    (folder / "03.png").write_bytes(b"text")
    (folder / "11.png").write_bytes(b"")
    return folder


@pytest.mark.parametrize("workers", [1, 3])
def test_prepare_many_keeps_the_order_and_hands_out_the_broken(mixed: Path, workers: int) -> None:
    with open_source(mixed) as source:
        faces = list(prepare_many(source, Preparation(size=16), workers=workers))
    assert [face.name for face in faces] == [f"{index:02d}.png" for index in range(20)]
    assert [face.name for face in faces if face.broken] == ["03.png", "11.png"]
    for face in faces:
        assert (face.pixels is None) == (face.broken is not None)
        if face.pixels is not None:
            photo = decode((mixed / face.name).read_bytes(), face.name)
            np.testing.assert_array_equal(face.pixels, np.asarray(prepare(photo, Preparation(size=16))))


def test_prepare_many_without_a_preparation_keeps_sizes(mixed: Path) -> None:
    with open_source(mixed) as source:
        (face,) = prepare_many(source, None, ["05.png"])
    assert face.pixels is not None
    assert face.pixels.shape == (30, 25, 3)


def test_prepare_many_reads_only_a_little_ahead(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_source(mixed) as source:
        read: list[str] = []
        read_one: Callable[[str], bytes] = source.read
        monkeypatch.setattr(source, "read", lambda name: read.append(name) or read_one(name))
        faces: Iterator[Any] = prepare_many(source, None, source.names * 10, workers=1)
        next(faces)
        faces.close()  # type: ignore[attr-defined]
    assert len(read) <= 9


def broken(count: int) -> list[BrokenImageError]:
    return [BrokenImageError(f"{index}.png", "empty file") for index in range(count)]


def test_settle_broken() -> None:
    assert settle_broken([], "fail", 5, "photos") == []
    assert settle_broken(broken(2), "skip", 5, "photos") == [
        "skipped broken picture 0.png: empty file",
        "skipped broken picture 1.png: empty file",
        "photos: skipped 2 of 5 pictures",
    ]
    with pytest.raises(
        UserError, match=r"photos: 2 of 5 pictures are broken: 0\.png: empty file; 1\.png.*--on-broken skip"
    ):
        settle_broken(broken(2), "fail", 5, "photos")
    with pytest.raises(UserError, match="all 5 pictures are broken"):
        settle_broken(broken(5), "skip", 5, "photos")
    with pytest.raises(UserError) as caught:
        settle_broken(broken(1000), "fail", 5000, "photos")
    assert len(str(caught.value)) < 1000
