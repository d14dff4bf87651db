from __future__ import annotations

import errno
import io
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from genface import grid
from genface.encode import PictureFormat
from genface.errors import UserError
from genface.grid import Sheet, drawn, near_square, picture_format, write_picture
from genface.latents import latents
from genface.model import Generator
from genface.provenance import is_marked, read_origin

PICTURES = np.random.default_rng(0).integers(0, 255, (6, 4, 3, 3), dtype=np.uint8)  # 255 is the gap's alone


def test_pictures_lie_row_by_row() -> None:
    sheet = Sheet(rows=2, cols=3, height=4, width=3, gap=0)
    image = sheet.fill(PICTURES)
    assert sheet.size == (9, 8)
    expected = PICTURES.reshape(2, 3, 4, 3, 3).transpose(0, 2, 1, 3, 4).reshape(8, 9, 3)
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize(("scale", "gap"), [(1, 2), (2, 0), (3, 5)])
def test_every_picture_can_be_cut_out_again(scale: int, gap: int) -> None:
    sheet = Sheet(rows=2, cols=3, height=4, width=3, scale=scale, gap=gap)
    image = sheet.fill(PICTURES)
    assert image.shape == (sheet.size[1], sheet.size[0], 3)
    covered = np.zeros(image.shape, dtype=bool)
    for place, picture in enumerate(PICTURES):
        top, left = (place // 3) * (4 * scale + gap), (place % 3) * (3 * scale + gap)
        where = np.s_[top : top + 4 * scale, left : left + 3 * scale]
        nearest = Image.fromarray(picture).resize((3 * scale, 4 * scale), Image.Resampling.NEAREST)
        np.testing.assert_array_equal(image[where], nearest)
        covered[where] = True
    assert (image[~covered] == 255).all()
    assert covered.sum() == 6 * 36 * scale**2


def test_missing_pictures_leave_white() -> None:
    image = Sheet(rows=2, cols=3, height=4, width=3, gap=0).fill(PICTURES[:4])
    assert (image[4:, 3:] == 255).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": 0}, "rows must be at least 1"),
        ({"cols": -1}, "cols must be at least 1"),
        ({"scale": 0}, "scale must be at least 1"),
        ({"gap": -1}, "gap must be at least 0"),
        ({"scale": 2000}, "12,002 x 16,002 pixels|pixels, and over"),
        ({"gap": 10**9}, "pixels, and over"),
    ],
)
def test_a_sheet_that_cannot_be_is_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Sheet(**{"rows": 2, "cols": 3, "height": 4, "width": 3, **options})


@pytest.mark.parametrize(("count", "shape"), [(1, (1, 1)), (2, (1, 2)), (4, (2, 2)), (5, (2, 3)), (7, (3, 3))])
def test_near_square(count: int, shape: tuple[int, int]) -> None:
    assert near_square(count) == shape


def test_drawn_is_draw_in_order_by_any_number_of_threads(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    n = 3 * generator.block + 1
    expected = generator.draw(seed=0, indices=range(n))
    for cores in (1, 3):
        monkeypatch.setattr(grid, "usable_cores", lambda cores=cores: cores)
        pictures = list(drawn(generator, lambda part: latents(0, part, generator.info.z_dim), n))
        np.testing.assert_array_equal(pictures, expected)


def test_drawn_does_not_run_far_ahead(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "usable_cores", lambda: 2)
    asked: list[range] = []
    lock = threading.Lock()

    def latents_of(part: range) -> NDArray[np.float32]:
        with lock:
            asked.append(part)
        return latents(0, part, generator.info.z_dim)

    pictures = drawn(generator, latents_of, 1000 * generator.block)
    next(pictures)
    pictures.close()  # type: ignore[attr-defined]
    assert 1 <= len(asked) <= 17


@pytest.mark.parametrize("ending", ["png", "webp", "jpg", "jpeg", "PNG"])
def test_a_picture_by_its_ending(tmp_path: Path, ending: str) -> None:
    sheet = Sheet(rows=2, cols=3, height=4, width=3, scale=8)
    smooth = np.linspace(0, 200, 18, dtype=np.uint8).reshape(6, 1, 1, 3).repeat(4, axis=1).repeat(3, axis=2)
    image = sheet.fill(smooth)
    path = tmp_path / f"grid.{ending}"
    form = picture_format(path, sheet)
    write_picture(path, image, {"genface:seed": "3", "genface:indices": "0-5"}, form, force=False)
    data = path.read_bytes()
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.format == {"JPG": "JPEG"}.get(ending.upper(), ending.upper())
        pixels = np.asarray(opened.convert("RGB")).astype(int)
    if form.lossless:
        np.testing.assert_array_equal(pixels, image)
    else:
        assert np.abs(pixels - image).mean() < 3  # JPEG at quality 95
    assert is_marked(data)
    assert read_origin(data) == {"genface:seed": "3", "genface:indices": "0-5"}
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_endings_and_sizes_that_do_not_do(tmp_path: Path) -> None:
    small = Sheet(rows=1, cols=1, height=4, width=3)
    for name in ("grid.bmp", "grid", "grid.gif"):
        with pytest.raises(UserError, match=r"pictures are written as \.png, \.webp, \.jpg, \.jpeg"):
            picture_format(tmp_path / name, small)
    wide = Sheet(rows=1, cols=5462, height=4, width=3, gap=0)
    assert picture_format(tmp_path / "grid.png", wide) == PictureFormat(name="png")
    with pytest.raises(UserError, match="webp takes 16,383 a side at most"):
        picture_format(tmp_path / "grid.webp", wide)
    with pytest.raises(UserError, match="jpeg takes 65,500 a side at most"):
        picture_format(tmp_path / "grid.jpg", Sheet(rows=1, cols=21834, height=4, width=3, gap=0))


def test_a_file_that_is_there_is_kept_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "grid.png"
    path.write_bytes(b"mine")
    with pytest.raises(UserError, match=r"grid\.png: exists already; choose another --out, or replace it by --force"):
        write_picture(path, PICTURES[0], {}, PictureFormat(), force=False)
    assert path.read_bytes() == b"mine"
    write_picture(path, PICTURES[0], {}, PictureFormat(), force=True)
    with Image.open(path) as opened:
        np.testing.assert_array_equal(opened, PICTURES[0])


def test_a_link_to_nothing_is_something(tmp_path: Path) -> None:
    path = tmp_path / "grid.png"
    path.symlink_to(tmp_path / "gone.png")
    with pytest.raises(UserError, match="exists already"):
        write_picture(path, PICTURES[0], {}, PictureFormat(), force=False)


def test_a_failure_to_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    told = r"grid\.png: cannot be written \(No space left on device\); make room; nothing was kept"
    with pytest.raises(UserError, match=told):
        write_picture(tmp_path / "grid.png", PICTURES[0], {}, PictureFormat(), force=False)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_read_only_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There even removing what is not there fails, which must not hide the reason."""

    def refuse(self: Path, *_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(UserError, match=r"/grid\.png: cannot be written \(Read-only file system\); nothing was kept"):
        write_picture(tmp_path / "grid.png", PICTURES[0], {}, PictureFormat(), force=False)
