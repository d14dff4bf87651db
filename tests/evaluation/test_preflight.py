"""What makes two sets incomparable is said before anything is computed, and nothing is said of sets that are alike."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from evalface.inputs import align, open_side
from evalface.preflight import FEW, Preflight, preflight
from evalface.side_facts import fine_detail

Maker = Callable[..., Path]
Encode = Callable[[Image.Image], tuple[str, bytes]]


def face(seed: int, width: int = 32, height: int = 32) -> Image.Image:
    """Colours that fall off towards fine detail, as photographs do."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3))
    spectrum = np.fft.fft2(noise, axes=(0, 1))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)) + 1 / width
    pixels = np.fft.ifft2(spectrum / frequency[:, :, None], axes=(0, 1)).real
    return Image.fromarray(np.clip(128 + 40 * pixels / pixels.std(), 0, 255).astype(np.uint8))


def saved(kind: str = "PNG", mode: str = "RGB", **options: Any) -> Encode:
    def encode(image: Image.Image) -> tuple[str, bytes]:
        data = io.BytesIO()
        image.convert(mode).save(data, kind, **options)
        return kind.lower(), data.getvalue()

    return encode


def fill(folder: Path, faces: Sequence[Image.Image], encode: Encode | None = None) -> Path:
    folder.mkdir()
    for index, image in enumerate(faces):
        ending, data = (encode or saved())(image)
        (folder / f"{index:03d}.{ending}").write_bytes(data)
    return folder


def checked(real: Path, fake: Path, size: int | None = None) -> Preflight:
    with open_side(real, role="real") as one, open_side(fake, role="fake") as other:
        real_side, fake_side, _ = align(one, other, size)
        return preflight(real_side, fake_side)


def said(result: Preflight) -> list[str]:
    """The warnings but for those of few pictures, which all sets here have."""
    return [line for line in result.warnings if f"below {FEW:,}" not in line]


REALS = [face(i) for i in range(12)]
FAKES = [face(i) for i in range(100, 112)]


def test_nothing_is_said_of_sets_that_are_alike(tmp_path: Path) -> None:
    result = checked(fill(tmp_path / "real", REALS), fill(tmp_path / "fake", FAKES))
    assert said(result) == []
    assert result.warnings[0].startswith("only 12 real pictures")
    assert result.warnings[1].startswith("only 12 fake pictures")
    assert result.real is not None
    assert result.fake is not None
    assert (result.real.n, result.real.formats, result.real.modes) == (12, {"PNG": 12}, {"RGB": 12})
    assert (result.real.smallest, result.real.largest, result.real.sizes) == ((32, 32), (32, 32), 1)
    assert (result.real.lossy, result.real.alpha, result.real.gray, result.copies) == (0, 0, 0.0, 0)
    document = json.loads(json.dumps(result.to_dict()))
    assert document["fake"]["n"] == 12
    assert document["warnings"] == result.warnings


@pytest.mark.parametrize(
    ("encode_real", "encode_fake", "expected"),
    [
        (saved("JPEG", quality=75), saved(), "real pictures are JPEG of quality about 75, fake ones PNG: networks see"),
        (saved(), saved("JPEG", quality=87), "real pictures are PNG, fake ones JPEG of quality about 87: networks see"),
        (saved("JPEG", quality=95), saved("JPEG", quality=60), "quality about 95, fake ones JPEG of quality about 60"),
        (saved(), saved("WEBP"), "real pictures are PNG, fake ones WEBP"),
        (saved(), saved("WEBP", lossless=True), None),
        (saved(), saved("BMP"), None),
        (saved("JPEG", quality=90), saved("JPEG", quality=92), None),
        (saved(mode="L"), saved(), "the real pictures are grayscale, the fake ones have colours"),
        (saved(), saved(mode="L"), "the fake pictures are grayscale, the real ones have colours"),
        (saved(mode="L"), saved(mode="L"), None),
        (saved(), saved(mode="RGBA"), "12 of 12 fake pictures can be transparent: they are laid over white"),
        (saved(mode="P"), saved(), "12 of 12 real pictures have a palette"),
    ],
)
def test_formats_and_modes(encode_real: Encode, encode_fake: Encode, expected: str | None, tmp_path: Path) -> None:
    result = checked(fill(tmp_path / "real", REALS, encode_real), fill(tmp_path / "fake", FAKES, encode_fake))
    lines = said(result)
    if expected is None:
        assert lines == []
    else:
        assert len(lines) == 1
        assert expected in lines[0]


def test_gray_pictures_in_colour_files_are_gray(tmp_path: Path) -> None:
    gray = [image.convert("L").convert("RGB") for image in REALS]
    result = checked(fill(tmp_path / "real", gray), fill(tmp_path / "fake", FAKES))
    assert result.real is not None
    assert result.real.gray == 1
    assert len(said(result)) == 1


def test_jpegs_that_are_made_much_smaller_are_no_warning(tmp_path: Path) -> None:
    """178x218 photos and fakes of 64 px: four by four pixels of a JPEG make one."""
    photos = fill(tmp_path / "real", [face(i, 178, 218) for i in range(8)], saved("JPEG", quality=75))
    result = checked(photos, fill(tmp_path / "fake", [face(i, 64, 64) for i in range(8)]))
    assert said(result) == []
    assert result.real is not None
    assert result.real.jpeg_quality == (75, 75, 75)
    assert result.real.shrunk == 178 / 64


def test_reals_smaller_than_the_fakes(tmp_path: Path) -> None:
    real = fill(tmp_path / "real", [face(i, 20, 40) for i in range(4)] + REALS)
    result = checked(real, fill(tmp_path / "fake", FAKES))
    (line,) = said(result)
    assert line.startswith("4 of 16 real pictures are smaller than the faces made of them and are enlarged")


@pytest.mark.parametrize("resample", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS])
def test_enlarged_fakes(resample: Image.Resampling, tmp_path: Path) -> None:
    """Drawn at 16 px and enlarged to 32: their size does not betray them, their fine detail does."""
    enlarged = [image.resize((16, 16), Image.Resampling.LANCZOS).resize((32, 32), resample) for image in FAKES]
    result = checked(fill(tmp_path / "real", REALS), fill(tmp_path / "fake", enlarged))
    (line,) = said(result)
    assert line.startswith("the fake pictures have ")
    assert "of the fine detail of the real ones" in line


def test_fine_detail_falls_with_blur_and_is_none_for_flat_pictures() -> None:
    blurred = [image.filter(ImageFilter.GaussianBlur(1.0)) for image in REALS]
    sharp, soft = (fine_detail(np.stack([np.asarray(image) for image in images])) for images in (REALS, blurred))
    assert sharp is not None
    assert soft is not None
    assert soft < 0.3 * sharp
    assert fine_detail(np.full((3, 32, 32, 3), 77, np.uint8)) is None


@pytest.mark.parametrize(("cycles", "fine"), [(9, False), (15, False), (17, True), (31, True)])
def test_the_finest_octave_begins_at_a_quarter_of_a_cycle(cycles: int, fine: bool) -> None:
    """Of 64 pixels, and so from 16 cycles on."""
    wave = np.cos(2 * np.pi * cycles * np.arange(64) / 64)
    pixels = np.broadcast_to((128 + 100 * wave)[None, None, :, None], (1, 64, 64, 3)).astype(np.uint8)
    found = fine_detail(pixels)
    assert found is not None
    assert (found > 1) == fine


def test_flat_pictures_pass(tmp_path: Path) -> None:
    flat = [Image.new("RGB", (32, 32), (i, 99, 20)) for i in range(8)]
    result = checked(fill(tmp_path / "real", flat), fill(tmp_path / "fake", FAKES))
    assert said(result) == []
    json.dumps(result.to_dict(), allow_nan=False)


def test_numbers_that_differ(tmp_path: Path) -> None:
    real = fill(tmp_path / "real", [*REALS, *(face(i) for i in range(50, 63))])
    lines = said(checked(real, fill(tmp_path / "fake", FAKES)))
    assert lines == [
        "25 real and 12 fake pictures: the smaller side alone sets the bias of the Frechet distance; compare scores at"
        " equal numbers only"
    ]


@pytest.mark.parametrize(("shard", "expected"), [(None, 16), ([2, 2], None), ([1, 4], 4), ("all", 16)])
def test_an_archive_that_is_not_whole(shard: Any, expected: int | None, make_archive: Maker, tmp_path: Path) -> None:
    manifest = {"kind": "genface-archive", "n": 16, "shard": shard, "preparation": {"size": 16}}
    result = checked(fill(tmp_path / "real", REALS), make_archive("fake.zip", manifest, n=8))
    lines = [line for line in said(result) if "manifest" in line]
    said_n = f"fake.zip: its manifest tells of {expected} pictures, 8 are there"
    assert [line.endswith(said_n) for line in lines] == ([True] if expected else [])


def test_files_that_stand_on_both_sides(tmp_path: Path) -> None:
    real = fill(tmp_path / "real", REALS)
    result = checked(real, fill(tmp_path / "fake", [*FAKES[:10], *REALS[3:5]]))
    assert result.copies == 2
    assert len(said(result)) == 1
    assert said(result)[0].startswith("2 of 12 files of ")
    result = checked(real, fill(tmp_path / "same", REALS[::-1]))
    assert result.copies == 12
    assert "hold the same files" in said(result)[0]


def test_files_that_are_there_twice(tmp_path: Path) -> None:
    result = checked(fill(tmp_path / "real", REALS), fill(tmp_path / "fake", [*FAKES[:9], *FAKES[:3]]))
    assert said(result) == ["3 of 12 fake files are byte for byte another one of the same side"]


def test_broken_files_are_counted_and_nothing_else(tmp_path: Path) -> None:
    real, fake = fill(tmp_path / "real", REALS), fill(tmp_path / "fake", FAKES)
    for folder in (real, fake):
        (folder / "text.png").write_text("no picture")
        (folder / "gone.png").symlink_to(tmp_path / "nowhere")
    result = checked(real, fake)
    assert result.real is not None
    assert (result.real.n, result.real.unreadable) == (14, 2)
    assert result.copies == 1  # the text is the same file on both sides, picture or not


def test_statistics_have_a_number_alone(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(20, 3))
    np.savez(tmp_path / "real.npz", mu=rows.mean(axis=0), sigma=np.cov(rows, rowvar=False))
    result = checked(tmp_path / "real.npz", fill(tmp_path / "fake", FAKES))
    assert result.real is None
    assert result.fake is not None
    assert said(result) == []
    assert len(result.warnings) == 1
