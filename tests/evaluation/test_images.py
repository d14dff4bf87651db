"""What the files of a set say, and how its faces come in blocks."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evalface.images import PictureFiles, Side, blocks, survey
from evalface.looks import about_jpeg_quality, look
from genface.errors import BrokenImageError, UserError
from genface.photos import Preparation
from genface.sources import open_source

Maker = Callable[..., Path]


def side_of(path: Path, size: int = 16, preparation: Preparation | None = None) -> Side:
    return Side(source=PictureFiles(open_source(path)), size=size, preparation=preparation)


def encoded(mode: str = "RGB", kind: str = "PNG", **options: Any) -> bytes:
    data = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(data, kind, **options)
    return data.getvalue()


def test_blocks_hold_every_face_in_order(make_folder: Maker, noise_faces: Callable[..., np.ndarray]) -> None:
    side = side_of(make_folder("real", n=11, seed=3))
    found = list(blocks(side, range(11), {}, stop_at_broken=True, length=4))
    assert [indices for indices, _ in found] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    faces = noise_faces(11, 16, 16, seed=3)
    assert np.array_equal(np.concatenate([block for _, block in found]), faces)
    ((indices, block),) = blocks(side, [9, 2], {}, stop_at_broken=True)
    assert indices == [9, 2]
    assert np.array_equal(block, faces[[9, 2]])


def test_broken_pictures_are_all_named(make_folder: Maker) -> None:
    folder = make_folder("real", n=9)
    for name in ("002.png", "007.png"):
        (folder / name).write_bytes(b"no picture")
    for stop in (True, False):
        broken: dict[int, BrokenImageError] = {}
        found = list(blocks(side_of(folder), range(9), broken, stop_at_broken=stop, length=2))
        assert sorted(broken) == [2, 7]
        assert sum(len(block) for _, block in found) == (2 if stop else 7)


def test_a_face_of_another_size_is_an_error(make_folder: Maker) -> None:
    with pytest.raises(UserError, match=r"000\.png is 24x24.*16 px"):
        list(side_of(make_folder("fake", size=24)).faces())


def test_survey_sees_contents_and_not_names(make_folder: Maker) -> None:
    first, same, other = make_folder("a"), make_folder("b"), make_folder("c", seed=1)
    for file in list(same.iterdir()):
        file.rename(file.with_name(f"x{file.name}"))
    digests = [survey(open_source(folder)).sha256 for folder in (first, same, other)]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("change", ["edited", "removed"])
def test_a_file_that_changes_meanwhile_is_an_error(change: str, make_folder: Maker) -> None:
    """Its features would be kept under the hash of what it was."""
    folder = make_folder("real")
    side = side_of(folder)
    assert len(side.survey.digests) == 8
    if change == "edited":
        (folder / "003.png").write_bytes((folder / "004.png").read_bytes())
    else:
        (folder / "003.png").unlink()
    with pytest.raises(UserError, match=r"/real: 003\.png has changed since it was first read"):
        list(side.faces())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (encoded(), ("PNG", "RGB", (32, 24), False, False)),
        (encoded("L"), ("PNG", "L", (32, 24), False, False)),
        (encoded("P"), ("PNG", "P", (32, 24), False, False)),
        (encoded("RGBA"), ("PNG", "RGBA", (32, 24), True, False)),
        (encoded("I;16"), ("PNG", "I;16", (32, 24), False, False)),
        (encoded("CMYK", "JPEG"), ("JPEG", "CMYK", (32, 24), False, True)),
        (encoded(kind="WEBP"), ("WEBP", "RGB", (32, 24), False, True)),
        (encoded(kind="WEBP", lossless=True), ("WEBP", "RGB", (32, 24), False, False)),
        (encoded(kind="WEBP", lossless=True, icc_profile=b"x" * 100), ("WEBP", "RGB", (32, 24), False, False)),
        (b"no picture", (None, None, None, False, False)),
        (b"", (None, None, None, False, False)),
    ],
)
def test_what_a_header_says(data: bytes, expected: tuple[Any, ...]) -> None:
    seen = look(data)
    assert (seen.format, seen.mode, seen.size, seen.alpha, seen.lossy) == expected


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_quality_of_a_jpeg(mode: str) -> None:
    """Exact from 1 to 100 for libjpeg, whose tables Pillow's files have."""
    qualities = range(1, 101)
    assert [look(encoded(mode, "JPEG", quality=q)).jpeg_quality for q in qualities] == list(qualities)
    assert look(encoded()).jpeg_quality is None


def test_the_quality_of_another_encoders_table() -> None:
    near_75 = [8, 6, 5, 8, 12, 20, 26, 31, 6, 6, 7, 10, 13, 29, 30, 28, 7, 7, 8, 12, 20, 29, 35, 28, 7, 9, 11, 15, 26]
    near_75 += [44, 40, 31, 9, 11, 19, 28, 34, 55, 52, 39, 12, 18, 28, 32, 41, 52, 57, 46, 25, 32, 39, 44, 52, 61, 60]
    near_75 += [51, 36, 46, 48, 49, 56, 50, 52, 50]
    shaken = [value + (place % 3 - 1) for place, value in enumerate(near_75)]
    assert about_jpeg_quality(near_75) == 75
    assert abs(about_jpeg_quality(shaken) - 75) <= 1
