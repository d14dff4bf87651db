from __future__ import annotations

import io
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from genface.errors import UserError
from genface.film import Film, check_film, write_film
from genface.provenance import DIGITAL_SOURCE_TYPES

MARKS = {"genface:model_sha256": "ab" * 32, "genface:seed": "3", "genface:indices": "0-7"}
_YY, _XX = np.mgrid[0:36, 0:50].astype(np.float32)


def picture(index: int, height: int = 36, width: int = 50) -> NDArray[np.uint8]:
    """A smooth picture that moves with its index, as a face on a walk does."""
    phases = np.array([0.0, 2.0, 4.0], np.float32) + index / 6
    waves = np.sin((_XX[:height, :width, None] + 0.5 * _YY[:height, :width, None]) / 9 + phases)
    return (127.5 + 100 * waves).round().astype(np.uint8)


def film_of(count: int = 10, *, fps: float = 24, height: int = 36, width: int = 50) -> Film:
    def frames(chosen: range) -> Iterator[NDArray[np.uint8]]:
        return (picture(index, height, width) for index in chosen)

    return Film(frames=frames, count=count, fps=fps, height=height, width=width, marks=MARKS)


def read(path: Path) -> tuple[Image.Image, list[NDArray[np.uint8]], list[int]]:
    """An animation by Pillow: itself, its frames as RGB, and the milliseconds that each stands."""
    film = Image.open(io.BytesIO(path.read_bytes()))
    frames, stands = [], []
    for frame in ImageSequence.Iterator(film):
        frames.append(np.asarray(frame.convert("RGB")))
        stands.append(round(frame.info["duration"]))
    return film, frames, stands


@pytest.mark.parametrize("fps", [24, 29.97, 7.5, 50])
def test_webp_gives_the_frames_back_exactly(tmp_path: Path, fps: float) -> None:
    path = tmp_path / "walk.webp"
    write_film(path, film_of(fps=fps))
    film, frames, stands = read(path)
    np.testing.assert_array_equal(frames, [picture(index) for index in range(10)])
    assert film.info["loop"] == 0
    assert sum(stands) == round(10_000 / fps)
    assert max(stands) - min(stands) <= 1


def test_webp_is_marked(tmp_path: Path) -> None:
    path = tmp_path / "walk.webp"
    write_film(path, film_of())
    description = ElementTree.fromstring(read(path)[0].info["xmp"])[0][0]
    texts = {name.rpartition("}")[2]: text for name, text in description.attrib.items()}
    assert texts["DigitalSourceType"] == DIGITAL_SOURCE_TYPES["generated"]
    assert (texts["model_sha256"], texts["seed"], texts["indices"]) == ("ab" * 32, "3", "0-7")


@pytest.mark.parametrize(("fps", "count"), [(24, 10), (24, 40), (50, 10), (0.5, 2)])
def test_gif_gives_the_frames_back_within_its_palette(tmp_path: Path, fps: float, count: int) -> None:
    path = tmp_path / "walk.gif"
    write_film(path, film_of(count, fps=fps))
    film, frames, stands = read(path)
    assert (len(frames), film.size, film.info["loop"]) == (count, (50, 36), 0)
    errors = np.array(frames).astype(np.float32) - [picture(index) for index in range(count)]
    # The waves' colours are few: 0.4 levels (rms) were seen; the next frame is 12 away.
    assert np.sqrt((errors**2).mean(axis=(1, 2, 3))).max() < 2
    # Dithering keeps areas: the mean of a whole frame is that of the picture; 0.14 were seen.
    assert np.abs(errors.mean(axis=(1, 2))).max() < 0.5
    assert sum(stands) == 10 * round(100 * count / fps)
    assert max(stands) - min(stands) <= 10


def test_all_frames_of_a_gif_share_one_palette(tmp_path: Path) -> None:
    path = tmp_path / "walk.gif"
    write_film(path, film_of(30))
    frames = np.concatenate([frame.reshape(-1, 3) for frame in read(path)[1]])
    assert 128 < len(np.unique(frames, axis=0)) <= 256


def test_few_colours_are_kept_exactly(tmp_path: Path) -> None:
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]], np.uint8)
    pictures = [np.full((8, 8, 3), colour) for colour in colours]
    film = Film(frames=lambda c: (pictures[i] for i in c), count=4, fps=10, height=8, width=8, marks={})
    write_film(tmp_path / "walk.gif", film)
    np.testing.assert_array_equal(read(tmp_path / "walk.gif")[1], pictures)


def test_a_gif_is_marked_twice(tmp_path: Path) -> None:
    """As a comment for people, and as XMP for programs."""
    path = tmp_path / "walk.gif"
    write_film(path, film_of())
    comment = read(path)[0].info["comment"].decode()
    assert comment.startswith(f"machine-made ({DIGITAL_SOURCE_TYPES['generated']}); genface:model_sha256={'ab' * 32}")
    assert "genface:seed=3" in comment
    data = path.read_bytes()
    begin = data.index(b"XMP DataXMP") + 11
    packet = data[begin : data.index(b'<?xpacket end="r"?>')]
    description = ElementTree.fromstring(packet)[0][0]
    assert DIGITAL_SOURCE_TYPES["generated"] in description.attrib.values()
    assert "ab" * 32 in description.attrib.values()


@pytest.mark.parametrize("ending", ["gif", "webp", "mp4"])
def test_memory_is_flat_in_the_number_of_frames(tmp_path: Path, ending: str) -> None:
    if ending == "mp4":
        pytest.importorskip("av", reason="PyAV, the extra video, is not installed")
    peaks = []
    for count in (40, 400):
        tracemalloc.start()
        write_film(tmp_path / f"{count}.{ending}", film_of(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # 360 frames more would be 1.9 MB; their durations are some 8 bytes each. Of WebP, what libwebp keeps is compressed
    # and not Python's; Python sees the finished file once.
    file = (tmp_path / f"400.{ending}").stat().st_size if ending == "webp" else 0
    assert peaks[1] - peaks[0] < file + 100_000


@pytest.mark.parametrize(("height", "width"), [(36, 50), (35, 49)])
def test_mp4_gives_the_frames_back_nearly(tmp_path: Path, height: int, width: int) -> None:
    av = pytest.importorskip("av", reason="PyAV, the extra video, is not installed")
    path = tmp_path / "walk.mp4"
    write_film(path, film_of(20, fps=25, height=height, width=width))
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.average_rate) == 25
        assert float(stream.duration * stream.time_base) == pytest.approx(20 / 25)
        metadata = dict(film.metadata)
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(stream)]
    assert np.array(frames).shape == (20, 36, 50, 3)  # odd sides become even
    errors = np.array(frames)[:, :height, :width].astype(np.float32) - [picture(i, height, width) for i in range(20)]
    # Colour at half the resolution alone costs these loud pictures 3.9 levels on the mean, H.264 another 0.2; read by
    # the matrix of another standard than the file states, they were 10.9 off.
    assert np.abs(errors).mean() < 5
    assert "machine-made" in metadata["title"].lower()
    assert DIGITAL_SOURCE_TYPES["generated"] in metadata["comment"]
    assert "genface:seed=3" in metadata["comment"]


def test_an_mp4_can_be_played_while_it_is_fetched(tmp_path: Path) -> None:
    """The index lies before the pictures (faststart)."""
    pytest.importorskip("av", reason="PyAV, the extra video, is not installed")
    path = tmp_path / "walk.mp4"
    write_film(path, film_of())
    data = path.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_the_colours_of_an_mp4_are_stated(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="PyAV, the extra video, is not installed")
    path = tmp_path / "walk.mp4"
    write_film(path, film_of())
    with av.open(str(path)) as film:
        context = film.streams.video[0].codec_context
        stated = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
    assert stated == (1, 1, 1, 1)  # ITU-T H.273: BT.709, limited range


def test_without_pyav_the_extra_is_named_before_a_frame_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=r"pip install 'genface\[video\]'"):
        write_film(tmp_path / "walk.mp4", film_of())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ["gif", "webp"])
@pytest.mark.parametrize("fails_at", [0, 5])
def test_a_film_that_fails_leaves_nothing(tmp_path: Path, ending: str, fails_at: int) -> None:
    def frames(chosen: range) -> Iterator[NDArray[np.uint8]]:
        for index in chosen:
            if index == fails_at and len(chosen) == 40:
                raise UserError("the generator gave up")
            yield picture(index)

    film = Film(frames=frames, count=40, fps=24, height=36, width=50, marks=MARKS)
    (tmp_path / f"walk.{ending}").write_bytes(b"mine")
    with pytest.raises(UserError, match="the generator gave up"):
        write_film(tmp_path / f"walk.{ending}", film, force=True)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"mine"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("walk.avi", {}, r"films are written as \.gif, \.webp, \.mp4, not \.avi"),
        ("walk", {}, "not without ending"),
        ("walk.gif", {"fps": 51}, r"\.gif films show 0\.1 to 50 frames a second, not 51"),
        ("walk.webp", {"fps": 0}, "0.1 to 90 frames a second, not 0"),
        ("walk.webp", {"fps": float("nan")}, "frames a second, not nan"),
        ("walk.webp", {"width": 16384}, r"16,384 x 36 pixels, and \.webp takes 16,383 a side at most"),
        ("walk.gif", {"height": 65536}, "65,535 a side at most"),
    ],
)
def test_what_no_film_can_be_is_refused(tmp_path: Path, name: str, options: dict[str, float], message: str) -> None:
    film = Film(**{"frames": iter, "count": 2, "fps": 24, "height": 36, "width": 50, "marks": {}, **options})  # type: ignore[arg-type]
    with pytest.raises(UserError, match=message):
        check_film(tmp_path / name, film)


def test_a_film_that_is_there_is_kept_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "walk.webp"
    write_film(path, film_of(3))
    before = path.read_bytes()
    with pytest.raises(UserError, match="exists already"):
        write_film(path, film_of(4))
    assert path.read_bytes() == before
    write_film(path, film_of(4), force=True)
    assert len(read(path)[1]) == 4
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_equal_films_are_equal_files(tmp_path: Path, ending: str) -> None:
    for name in ("a", "b"):
        write_film(tmp_path / f"{name}.{ending}", film_of())
    assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()
