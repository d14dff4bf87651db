from __future__ import annotations

import io
import json
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from genface.archive import KIND, open_archive
from genface.draw import DrawConfig, draw_archive
from genface.errors import UserError
from genface.model import Generator
from genface.provenance import DIGITAL_SOURCE_TYPES
from genface.sources import open_source

N = 150


def draw(generator: Generator, out: Path, *, workers: int | None = None, force: bool = False, **config: Any) -> bytes:
    draw_archive(generator, DrawConfig(**{"n": N, **config}), out, workers=workers, force=force)
    return out.read_bytes() if out.is_file() else b""


@pytest.fixture(scope="module")
def reference(generator: Generator, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return draw(generator, tmp_path_factory.mktemp("reference") / "faces.zip")


@pytest.mark.parametrize("config", [{}, {"batch": 1}, {"batch": 7}, {"batch": 64}, {"batch": 1000}])
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_equal_commands_give_equal_bytes(
    generator: Generator, reference: bytes, tmp_path: Path, config: dict[str, int], workers: int
) -> None:
    assert draw(generator, tmp_path / "other name.zip", workers=workers, **config) == reference


def test_a_shorter_archive_is_the_beginning_of_a_longer(generator: Generator, reference: bytes, tmp_path: Path) -> None:
    draw(generator, tmp_path / "short.zip", n=21)
    with zipfile.ZipFile(tmp_path / "short.zip") as short, zipfile.ZipFile(io.BytesIO(reference)) as long:
        assert len(short.namelist()) == 22
        for name in set(short.namelist()) - {"manifest.json"}:
            assert short.read(name) == long.read(name)


def test_the_pictures_are_the_generators(generator: Generator, reference: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(reference)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["manifest.json", *(f"{index:06d}.png" for index in range(N))]
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        pictures = [np.asarray(Image.open(archive.open(f"{index:06d}.png"))) for index in range(N)]
    np.testing.assert_array_equal(np.stack(pictures), generator.draw(seed=0, indices=range(N)))


def test_a_folder_holds_the_same_files(generator: Generator, reference: bytes, tmp_path: Path) -> None:
    draw(generator, tmp_path / "faces")
    with zipfile.ZipFile(io.BytesIO(reference)) as archive:
        assert {path.name: path.read_bytes() for path in (tmp_path / "faces").iterdir()} == {
            name: archive.read(name) for name in archive.namelist()
        }
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]


def test_the_archive_can_be_read_as_a_source(generator: Generator, tmp_path: Path) -> None:
    draw(generator, tmp_path / "faces.zip", seed=3, truncation=0.7)
    with open_source(tmp_path / "faces.zip") as source:
        assert len(source) == N
        manifest = source.manifest
    assert manifest is not None
    assert manifest["kind"] == "genface-archive"
    assert manifest["model_sha256"] == generator.info.sha256
    assert manifest["preparation"] == {"size": 16, "crop": "center", "resample": "lanczos"}
    assert (manifest["n"], manifest["seed"], manifest["truncation"]) == (N, 3, 0.7)
    assert (manifest["provider"], manifest["precision"], manifest["image_format"]) == ("cpu", "fp32", "png")
    assert set(manifest["versions"]) == {"genface", "numpy", "onnxruntime", "pillow"}


@pytest.mark.parametrize("change", [{"seed": 1}, {"truncation": 0.5}, {"mark": False}])
def test_what_is_asked_for_changes_the_bytes(
    generator: Generator, reference: bytes, tmp_path: Path, change: dict[str, Any]
) -> None:
    assert draw(generator, tmp_path / "faces.zip", **change) != reference


def test_every_picture_is_marked(generator: Generator, tmp_path: Path) -> None:
    draw(generator, tmp_path / "faces", n=18, seed=4, truncation=0.5)
    with Image.open(tmp_path / "faces" / "000017.png") as picture:
        assert picture.info["genface:model_sha256"] == generator.info.sha256
        assert picture.info["genface:seed"] == "4"
        assert picture.info["genface:index"] == "17"
        assert picture.info["genface:truncation"] == "0.5"
        xmp = picture.info["XML:com.adobe.xmp"]
    assert f'Iptc4xmpExt:DigitalSourceType="{DIGITAL_SOURCE_TYPES["generated"]}"' in xmp
    defused = xmp.replace("\ufeff", "")
    assert defused.startswith("<?xpacket")


def test_the_mark_is_well_formed_xmp(generator: Generator, tmp_path: Path) -> None:
    from xml.etree import ElementTree

    draw(generator, tmp_path / "faces", n=1)
    with Image.open(tmp_path / "faces" / "000000.png") as picture:
        root = ElementTree.fromstring(picture.info["XML:com.adobe.xmp"])
    (description,) = root.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    assert (
        description.get("{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType")
        == DIGITAL_SOURCE_TYPES["generated"]
    )


def test_no_mark_leaves_nothing_but_pixels(generator: Generator, tmp_path: Path) -> None:
    draw(generator, tmp_path / "plain", n=1, mark=False)
    draw(generator, tmp_path / "marked", n=1)
    plain, marked = ((tmp_path / name / "000000.png") for name in ("plain", "marked"))
    with Image.open(plain) as without, Image.open(marked) as with_mark:
        assert without.info == {}
        np.testing.assert_array_equal(np.asarray(without), np.asarray(with_mark))
    assert json.loads((tmp_path / "plain" / "manifest.json").read_text())["marked"] is False


def test_progress_counts_pictures(generator: Generator, tmp_path: Path) -> None:
    told: list[int] = []
    draw_archive(generator, DrawConfig(n=50), tmp_path / "faces.zip", progress=told.append)
    assert told == list(range(1, 51))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"n": 0}, "n must"),
        ({"n": -3}, "n must"),
        ({"n": 1, "batch": 0}, "batch"),
        ({"n": 1, "seed": -1}, "seed"),
        ({"n": 1, "truncation": 0.0}, "truncation"),
    ],
)
def test_bad_configurations(config: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        DrawConfig(**config)


class Breaking:
    """A generator that draws a few blocks well, then raises."""

    def __init__(self, generator: Generator, error: BaseException, after: int = 5) -> None:
        self.info, self.block = generator.info, generator.block
        self._generator, self._error, self._left = generator, error, after
        self._lock = threading.Lock()

    def from_latents(self, z: NDArray[np.float32]) -> NDArray[np.uint8]:
        with self._lock:
            self._left -= 1
            if self._left < 0:
                raise self._error
        return self._generator.from_latents(z)


@pytest.mark.parametrize("name", ["faces.zip", "faces.tar", "faces"])
@pytest.mark.parametrize("error", [UserError("out of luck"), KeyboardInterrupt(), MemoryError()])
def test_what_was_drawn_is_kept_and_taken_up(
    generator: Generator, tmp_path: Path, name: str, error: BaseException
) -> None:
    broken: Any = Breaking(generator, error)
    with pytest.raises(UserError if isinstance(error, MemoryError) else type(error)):
        draw_archive(broken, DrawConfig(n=200), tmp_path / name, workers=1)
    assert [entry.name for entry in tmp_path.iterdir()] == [f".{name}.part"]
    found: list[int] = []
    drawn = draw_archive(generator, DrawConfig(n=200), tmp_path / name, resume=True, found=found.append)
    assert (found, drawn) == ([80], 120)
    assert draw_archive(generator, DrawConfig(n=200), tmp_path / name, resume=True) == 0
    draw(generator, tmp_path / f"whole-{name}", n=200)
    assert content(tmp_path / name) == content(tmp_path / f"whole-{name}")


def content(archive: Path) -> dict[str, bytes]:
    with open_source(archive) as source:
        return {name: source.read(name) for name in source.names}


@pytest.mark.parametrize("name", ["faces.zip", "faces"])
def test_a_failed_replacement_keeps_the_old(generator: Generator, tmp_path: Path, name: str) -> None:
    draw(generator, tmp_path / name, n=3)
    before = content(tmp_path / name)
    broken: Any = Breaking(generator, UserError("out of luck"))
    with pytest.raises(UserError, match="out of luck"):
        draw_archive(broken, DrawConfig(n=10_000), tmp_path / name, force=True)
    assert content(tmp_path / name) == before


def test_only_so_many_jobs_are_drawn_ahead_of_the_writer(generator: Generator, tmp_path: Path) -> None:
    """However slow the writer is: encoded pictures must not pile up in memory."""
    ahead: list[int] = []
    drawn: Any = Counting(generator)
    draw_archive(
        drawn,
        DrawConfig(n=2_000),
        tmp_path / "faces",
        workers=2,
        progress=lambda done: ahead.append(drawn.count - done),
    )
    assert max(ahead) <= (8 * 2 + 1) * generator.block


def test_large_jobs_are_fewer(generator: Generator, tmp_path: Path) -> None:
    """A batch of thousands must not wait eight times for each worker."""
    ahead: list[int] = []
    drawn: Any = Counting(generator)
    draw_archive(
        drawn,
        DrawConfig(n=2_000, batch=160),
        tmp_path / "faces",
        workers=2,
        progress=lambda done: ahead.append(drawn.count - done),
    )
    assert max(ahead) <= (2 * 2 + 1) * 160


@pytest.mark.parametrize("part", ["from_latents", "encode"])
def test_memory_that_runs_out_is_told(
    generator: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError("no 9 GiB")

    if part == "encode":
        monkeypatch.setattr("genface.draw.encode", fail)
    else:
        monkeypatch.setattr("genface.draw.latents", lambda seed, indices, *_, **__: fail() if indices else None)
    with pytest.raises(UserError, match=r"out of memory while drawing 32 pictures .*no 9 GiB.* smaller --batch"):
        draw_archive(generator, DrawConfig(n=40, batch=20), tmp_path / "faces", workers=2)
    assert list(tmp_path.iterdir()) == []


def test_threads_that_the_system_does_not_start_are_told(
    generator: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(UserError, match=r"does not start 9,000 threads .*take fewer"):
        draw_archive(generator, DrawConfig(n=40), tmp_path / "faces", workers=9_000)
    assert list(tmp_path.iterdir()) == []


class Counting:
    def __init__(self, generator: Generator) -> None:
        self.info, self.block, self.count = generator.info, generator.block, 0
        self._generator, self._lock = generator, threading.Lock()

    def from_latents(self, z: NDArray[np.float32]) -> NDArray[np.uint8]:
        with self._lock:
            self.count += len(z)
        return self._generator.from_latents(z)


def test_an_archive_is_not_there_before_it_is_complete(tmp_path: Path) -> None:
    for name in ("faces.zip", "faces"):
        with open_archive(tmp_path / name, manifest={"kind": KIND}, names=["000000.png"]) as archive:
            archive.write("000000.png", b"bytes")
            assert not (tmp_path / name).exists()
        assert (tmp_path / name).exists()
