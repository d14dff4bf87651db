"""Pictures that a command cannot use, and pictures of unusual kinds, through every command that reads some.

What `genface mix`, `stylize` and `trainface style paint` say of a single unreadable photo is tested beside them.
"""

from __future__ import annotations

import importlib
import io
import os
import runpy
import struct
import types
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from evalface.embedder import open_embedder
from evalface.extractors.pixels import Pixels
from evalface.resembling import resemble
from genface.commands import run_app
from genface.photo_file import read_photo
from genface.photos import Preparation, prepare
from trainface.data.dataset import open_faces
from trainface.style.paintings import draw

Run = Callable[..., tuple[int, str, list[str]]]
Made = tuple[bytes, Image.Image]
"""A file, and the picture that it shows, as upright RGB."""

HERE = Path(__file__).parent
answers = types.SimpleNamespace(**runpy.run_path(str(HERE / "evaluation" / "tiny_graphs.py")))
styles = types.SimpleNamespace(**runpy.run_path(str(HERE / "inference" / "tiny_style.py")))
faces = types.SimpleNamespace(**runpy.run_path(str(HERE / "inference" / "draw_faces.py")))


@pytest.fixture(autouse=True)
def own_caches(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRAINFACE_CACHE", "EVALFACE_CACHE", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line in this process: exit code, stdout, lines of stderr."""
    monkeypatch.setattr("signal.signal", lambda *_: None)

    def run_room(room: str, *words: object) -> tuple[int, str, list[str]]:
        with pytest.raises(SystemExit) as leave:
            run_app(importlib.import_module(f"{room}.cli").app, room, [str(word) for word in words])
        captured = capsys.readouterr()
        return int(leave.value.code or 0), captured.out, captured.err.splitlines()

    return run_room


@pytest.fixture
def models(tmp_path: Path) -> types.SimpleNamespace:
    """A mixer whose child is the pixel average, a style file whose style 0 is the photo, an embedder, a painting."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "face.onnx").write_bytes(answers.embedder())
    (folder / "style.onnx").write_bytes(styles.build())
    draw("glass", 64).save(folder / "glass.png")
    return types.SimpleNamespace(
        mixer=answers.mixer(folder / "mixer"),
        embedder=folder / "face.onnx",
        style=folder / "style.onnx",
        painting=folder / "glass.png",
    )


def encoded(image: Image.Image, kind: str = "png", **options: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **({"quality": 95, "subsampling": 0} if kind == "jpeg" else {}) | options)
    return data.getvalue()


def photo(width: int = 60, height: int = 44) -> Image.Image:
    """Smooth, so that JPEG loses little; every corner and every channel differs."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return Image.fromarray(np.rint(np.stack([40 + 180 * x, 220 - 160 * y, 60 + 90 * x + 90 * y], -1)).astype(np.uint8))


def pixels(path: Path) -> NDArray[np.int64]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


# Pictures of unusual kinds


def gray() -> Made:
    return encoded(photo().convert("L")), photo().convert("L").convert("RGB")


def gray_jpeg() -> Made:
    return encoded(photo().convert("L"), "jpeg"), photo().convert("L").convert("RGB")


def gray_of_16_bits() -> Made:
    levels = photo().convert("L")
    return encoded(Image.fromarray(np.asarray(levels).astype(np.uint16) * 257)), levels.convert("RGB")


def cmyk() -> Made:
    """With Adobe's marker, the numbers inverted, as Photoshop and Pillow write it."""
    data = encoded(photo().convert("CMYK"), "jpeg")
    assert b"\xff\xee\x00\x0eAdobe" in data
    return data, photo()


def cmyk_without_marker() -> Made:
    data, shown = cmyk()
    at = data.index(b"\xff\xee\x00\x0eAdobe")
    return data[:at] + data[at + 16 :], shown


def ycck() -> Made:
    """Adobe's transform 2, which Pillow does not write: luma and chroma of the inks, beside the black."""
    *inks, black = photo().convert("CMYK").split()
    turned = [plane.point(lambda level: 255 - level) for plane in Image.merge("RGB", inks).convert("YCbCr").split()]
    data = bytearray(encoded(Image.merge("CMYK", [*turned, black]), "jpeg"))
    data[data.index(b"Adobe") + 11] = 2
    return bytes(data), photo()


def palette_with_transparency() -> Made:
    image = photo().quantize(64)
    clear = image.getpixel((0, 0))
    shown = np.asarray(image.convert("RGB")).copy()
    shown[np.asarray(image) == clear] = 255
    return encoded(image, transparency=clear), Image.fromarray(shown)


def transparent() -> Made:
    image = np.asarray(photo().convert("RGBA")).copy()
    image[:, :20, 3] = 0
    shown = image[..., :3].copy()
    shown[:, :20] = 255
    return encoded(Image.fromarray(image)), Image.fromarray(shown)


def animation() -> Made:
    first = photo().quantize(64)
    more = [Image.new("RGB", first.size, "red")]
    return encoded(first, "gif", save_all=True, append_images=more, duration=40), first.convert("RGB")


def turned() -> Made:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(photo().transpose(Image.Transpose.ROTATE_90), "jpeg", exif=exif), photo()


def wide() -> Made:
    return encoded(photo(4000, 20)), photo(4000, 20)


def tall() -> Made:
    return encoded(photo(20, 4000)), photo(20, 4000)


KINDS: tuple[Callable[[], Made], ...] = (
    gray, gray_jpeg, gray_of_16_bits, cmyk, cmyk_without_marker, ycck, palette_with_transparency, transparent,
    animation, turned, wide, tall,
)  # fmt: skip


def same(found: Any, expected: Any) -> None:
    """Within what JPEG of quality 95 and its colour matrices round: 1.5 levels on average; a wrong ink is 50 off."""
    difference = np.abs(np.asarray(found).astype(int) - np.asarray(expected))
    assert difference.mean() <= 1.5
    assert difference.max() <= 12


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_single_photos_of_every_kind(run: Run, models: Any, tmp_path: Path, make: Callable[[], Made]) -> None:
    path, other, out = tmp_path / "photo.bin", tmp_path / "other.png", tmp_path / "out.png"
    data, shown = make()
    path.write_bytes(data)
    photo(150, 150).save(other)
    assert run("genface", "stylize", path, "--model", models.style, "--style", 0, "--out", out)[0] == 0
    same(pixels(out), shown)
    words = ("--model", models.mixer, "--parents", "--gap", 0, "--force", "--out", out)
    assert run("genface", "mix", path, other, path, *words)[0] == 0
    side = answers.SIZE
    expected = prepare(shown, Preparation(size=side))
    same(pixels(out)[:, :side], expected)
    same(pixels(out)[:, 3 * side :], expected)
    same(read_photo(path).image, shown)


def test_folders_of_every_kind(models: Any, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    shown = {}
    for make in KINDS:
        name = f"{make.__name__}_0001.{'gif' if make is animation else 'png'}"
        data, shown[name] = make()
        (folder / name).write_bytes(data)  # what a file is, its contents say
    found = open_faces(str(folder), Preparation(size=16))
    for name, face in zip(found.names, found.images, strict=True):
        same(face, prepare(shown[name], Preparation(size=16)))
    judge = open_embedder(models.embedder)
    report = resemble([models.mixer], folder, embedder=judge, extractor=Pixels(), pairs=len(KINDS) // 2)
    assert {name for pair in report.photos.pairs for name in pair} == set(shown)
    for names, *parents in zip(report.photos.pairs, *report.parents, strict=True):
        for name, parent in zip(names, parents, strict=True):
            same(parent, prepare(shown[name], Preparation(size=answers.SIZE)))


def test_a_face_is_looked_for_in_the_upright_photo(run: Run, models: Any, tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    upright, sideways, bare = (tmp_path / f"{name}.png" for name in ("upright", "sideways", "bare"))
    face = faces.human_face(200)
    face.save(upright)
    exif = Image.Exif()
    exif[0x0112] = 6
    face.transpose(Image.Transpose.ROTATE_90).convert("L").save(sideways, exif=exif)
    photo(300, 60).save(bare)
    words = ("--model", models.mixer, "--crop", "face", "--parents", "--gap", 0, "--out", tmp_path / "out.png")
    assert run("genface", "mix", upright, sideways, *words)[0] == 0
    side = answers.SIZE
    first = pixels(tmp_path / "out.png")[:, :side].astype(np.uint8)
    second = pixels(tmp_path / "out.png")[:, 2 * side :]
    # The resize and the shades of gray round in turn.
    assert np.abs(np.asarray(Image.fromarray(first).convert("L").convert("RGB")).astype(int) - second).max() <= 2
    code, _, said = run("genface", "mix", upright, sideways, bare, *words, "--force")
    assert code == 2
    assert said[-1].startswith(f"genface: error: {bare}: no face found: ")


# Files that are no photos


def png_that_declares(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


def jpeg_that_declares(width: int, height: int) -> bytes:
    """As far as its header, which is as far as a hundred megapixels are read."""
    data = bytearray(encoded(photo(), "jpeg"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


BROKEN: dict[str, tuple[bytes, str]] = {
    "bomb_0001.png": (png_that_declares(60_000, 60_000), "declares more than 89,478,485 pixels"),
    "cut_0001.jpg": (encoded(photo(), "jpeg")[:-300], "cannot be decoded"),
    "empty_0001.jpg": (b"", "empty file"),
    "large_0001.jpg": (jpeg_that_declares(10_000, 10_000), "declares more than 89,478,485 pixels"),
    "pixel_0001.png": (encoded(photo().resize((1, 1))), "1x1: sides must be 8 to"),
    "small_0001.png": (encoded(photo().resize((7, 7))), "7x7: sides must be 8 to"),
    "text_0001.jpg": (b"a face", "not a picture that Pillow can read"),
}
READERS: dict[str, Callable[[Any], tuple[object, ...]]] = {
    "mixer": lambda models: ("trainface", "mixer", ..., "--preset", "tiny-ae", "--device", "cpu", "--run", "out"),
    "style": lambda models: (
        "trainface", "style", "train", ..., "--preset", "tiny", "--style", models.painting, "--run", "out",
    ),
    "resemble": lambda models: (
        "evalface", "resemble", models.mixer, ..., "--embedder", models.embedder, "--pairs", 2, "--out", "out",
    ),
}  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
def test_folders_with_broken_photos(
    run: Run, models: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos"
    (folder / "folder_0001.jpg").mkdir(parents=True)  # in place of a file: no photo is looked for in its name
    for letter in "abcdef":
        photo().save(folder / f"sound-{letter}_0001.png")
    for name, (data, _) in BROKEN.items():
        (folder / name).write_bytes(data)
    words = [folder if word is ... else word for word in READERS[reader](models)]
    code, stdout, said = run(*words)
    assert (code, stdout) == (2, "")
    named = folder if words[0] == "evalface" else folder.name  # a run's data set is called by its name
    counted = f"{len(BROKEN)} of {len(BROKEN) + 6} pictures are broken: "
    assert said[-1].startswith(f"{words[0]}: error: {named}: {counted}")
    for name, (_, reason) in BROKEN.items():
        assert f"{name}: {reason}" in said[-1]
    assert "--on-broken skip" in said[-1]
    assert not any(": error: " in line for line in said[:-1])
    assert not (tmp_path / "out").exists()
    words = [folder / "text_0001.jpg" if word is ... else word for word in READERS[reader](models)]
    code, _, said = run(*words)
    assert code == 2
    assert f"{folder / 'text_0001.jpg'}: neither a folder nor a readable .zip or .tar" in said[-1]


PAINTINGS: dict[str, tuple[Callable[[Path], object], str]] = {
    "bomb.png": (lambda path: path.write_bytes(png_that_declares(60_000, 60_000)), "make it smaller first"),
    "folder.png": (lambda path: path.mkdir(), "is a folder"),
    "missing.png": (lambda path: None, "no such file"),
    "pipe.png": (os.mkfifo, "is not a regular file"),
}


@pytest.mark.parametrize("name", PAINTINGS)
def test_paintings_that_are_none(run: Run, models: Any, tmp_path: Path, name: str) -> None:
    make, message = PAINTINGS[name]
    make(tmp_path / name)
    out = tmp_path / "out.png"
    for words in (
        ("paint", tmp_path / name, "--style", models.painting, "--out", out),
        ("paint", models.painting, "--style", tmp_path / name, "--style-size", 64, "--out", out),
        ("train", "builtin:cartoons:4", "--style", tmp_path / name, "--preset", "tiny", "--run", tmp_path / "run"),
    ):
        code, stdout, said = run("trainface", "style", *words)
        assert (code, stdout, len(said)) == (2, "", 1)
        assert said[0].startswith(f"trainface: error: {tmp_path / name}: ")
        assert message in said[0]
    assert not out.exists()
    assert not (tmp_path / "run").exists()


def test_narrow_pictures_name_the_option_that_made_them_too_small(run: Run, models: Any, tmp_path: Path) -> None:
    narrow, out = tmp_path / "narrow.png", tmp_path / "out"
    photo(4000, 20).save(narrow)
    for option, words in {
        "--size": ("paint", narrow, "--style", models.painting, "--out", f"{out}.png"),
        "--style-size": ("paint", models.painting, "--style", narrow, "--style-size", 64, "--out", f"{out}.png"),
        "--set painting_size=N": ("train", "builtin:cartoons:4", "--style", narrow, "--preset", "tiny", "--run", out),
    }.items():
        code, _, said = run("trainface", "style", *words)
        assert (code, len(said)) == (2, 1)
        assert f"{narrow}: 4000x20 px becomes " in said[0]
        assert f"; give a larger {option}, or a picture that is less narrow" in said[0]


# Pictures in place of other files


@pytest.mark.parametrize("data", [b"", b"a face", encoded(photo(), "jpeg"), None], ids=["empty", "text", "photo", "no"])
def test_pictures_in_place_of_models(run: Run, models: Any, tmp_path: Path, data: bytes | None) -> None:
    path, out, folder = tmp_path / "photo.jpg", tmp_path / "out", tmp_path / "photos"
    folder.mkdir()
    photo().save(folder / "a_0001.png")
    if data is not None:
        path.write_bytes(data)
    for words in (
        ("exportface", "mixer", path, "--out", out),
        ("exportface", "style", path, "--out", out.with_suffix(".onnx")),
        ("genface", "mix", models.painting, models.painting, "--model", path, "--out", out.with_suffix(".png")),
        ("genface", "stylize", models.painting, "--model", path, "--style", 1, "--out", out.with_suffix(".png")),
        ("evalface", "embedder", "--weights", path, "--out", out.with_suffix(".onnx")),
        ("evalface", "resemble", models.mixer, folder, "--embedder", path, "--out", out),
    ):
        before = sorted(tmp_path.rglob("*"))
        code, stdout, said = run(*words)
        assert (code, stdout, len(said)) == (2, "", 1), words
        assert said[0].startswith(f"{words[0]}: error: {path}: "), words
        assert sorted(tmp_path.rglob("*")) == before, words


# Outputs that cannot be


def writers(models: Any, out: Path) -> list[tuple[object, ...]]:
    two = (models.painting, models.painting)
    return [
        ("genface", "mix", *two, "--model", models.mixer, "--out", out),
        ("genface", "stylize", models.painting, "--model", models.style, "--style", 1, "--out", out),
        ("trainface", "style", "paint", models.painting, "--style", models.painting, "--steps", 1, "--out", out),
        ("evalface", "embedder", "--network", "lite0", "--out", out),
    ]


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("file/out.png", "does not exist; make it first"),
        ("folder.png", "is not a file that could be replaced"),
        ("file.png", "exists already"),
    ],
)
def test_outputs_that_cannot_be(run: Run, models: Any, tmp_path: Path, out: str, message: str) -> None:
    (tmp_path / "file").write_text("dear to me")
    (tmp_path / "file.png").write_text("dear to me")
    (tmp_path / "folder.png").mkdir()
    before = sorted(tmp_path.rglob("*"))
    for words in writers(models, tmp_path / out):
        code, stdout, said = run(*words)
        assert (code, stdout, len(said)) == (2, "", 1), words
        assert said[0].startswith(f"{words[0]}: error: {tmp_path / out}: "), words
        assert message in said[0], words
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "file.png").read_text() == "dear to me"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_files_without_permission(run: Run, models: Any, tmp_path: Path) -> None:
    path, locked = tmp_path / "photo.png", tmp_path / "locked"
    photo().save(path)
    path.chmod(0)
    locked.mkdir(0o500)
    out = tmp_path / "out.png"
    for words in (
        ("genface", "mix", models.painting, path, "--model", models.mixer, "--out", out),
        ("genface", "stylize", path, "--model", models.style, "--style", 1, "--out", out),
        ("trainface", "style", "paint", path, "--style", models.painting, "--out", out),
    ):
        code, _, said = run(*words)
        assert (code, len(said)) == (2, 1)
        assert f"path '{path}' is not readable" in said[0]  # the command line's own check
    for words in writers(models, locked / "out.png")[:2]:
        code, _, said = run(*words)
        assert (code, len(said)) == (2, 1)
        assert f"{locked / 'out.png'}: cannot be written (Permission denied)" in said[0]
