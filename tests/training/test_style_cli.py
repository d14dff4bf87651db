"""`trainface style`: results, and one clear line for everything that cannot be used."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from genface.errors import UserError
from genface.provenance import is_marked, read_origin
from trainface.cli import app
from trainface.style.paintings import PAINTINGS, draw

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def no_torch_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def painting(tmp_path: Path) -> Path:
    path = tmp_path / "glass.png"
    draw("glass", 64).save(path)
    return path


def picture(mode: str, width: int = 24, height: int = 32, **options: object) -> bytes:
    shade = np.linspace(0, 255, width * height).reshape(height, width).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(shade).convert(mode).save(file, "tiff" if mode == "CMYK" else "png", **options)
    return file.getvalue()


def paint(*args: object) -> str:
    """Run in this process, which is quick; returns stdout, and lets errors through."""
    result = CliRunner().invoke(app, ["style", "paint", *map(str, args)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "1"])
def test_every_kind_of_picture_is_painted(tmp_path: Path, painting: Path, mode: str) -> None:
    photo, out = tmp_path / "photo", tmp_path / "out.png"
    photo.write_bytes(picture(mode))
    said = paint(photo, "--style", painting, "--out", out, "--steps", 1, "--size", 32)
    with Image.open(out) as painted:
        assert painted.mode == "RGB"
        assert painted.size == (24, 32)
    data = out.read_bytes()
    assert is_marked(data, "edited")
    assert read_origin(data)["genface:photos_sha256"] == hashlib.sha256(photo.read_bytes()).hexdigest()
    assert f"{out}: 24x32 px, 1 steps, EfficientNet-Lite0" in said


def test_orientation_is_applied_and_progress_is_shown(tmp_path: Path, painting: Path) -> None:
    photo, out = tmp_path / "photo.png", tmp_path / "out.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    photo.write_bytes(picture("RGB", exif=exif))
    paint(photo, "--style", painting, "--out", out, "--steps", 3, "--size", 32, "--progress-every", 2)
    with Image.open(out) as painted:
        assert painted.size == (32, 24)
    assert sorted(path.name for path in (tmp_path / "out-steps").iterdir()) == ["000002.png", "000003.png"]
    with pytest.raises(UserError, match="--force"):
        paint(photo, "--style", painting, "--out", out, "--steps", 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "no such file"),
        (b"", "empty file"),
        (b"no picture", "not a picture"),
        (picture("RGB", 1, 1), "1x1"),
        (picture("L", 40_000, 8), "40000x8"),
        (picture("RGB")[:80], "cannot be decoded"),
        (picture("RGB", 300, 8), "--size"),
    ],
)
def test_what_is_no_photo(tmp_path: Path, painting: Path, data: bytes | None, message: str) -> None:
    photo = tmp_path / "photo.png"
    if data is not None:
        photo.write_bytes(data)
    out = tmp_path / "out.png"
    for given, style in ((photo, painting), (painting, photo)):
        with pytest.raises(UserError, match=message) as raised:
            paint(given, "--style", style, "--out", out, "--steps", 1, "--size", 64)
        assert "photo.png" in str(raised.value)
    assert not out.exists()


def test_a_hundred_megapixels_are_refused_before_they_are_decoded(tmp_path: Path, painting: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.new("1", (10_100, 10_000)).save(photo)
    with pytest.raises(UserError, match="decompression bomb"):
        paint(photo, "--style", painting, "--out", tmp_path / "out.png")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out", "out.jpg"), "end its name in .png"),
        (("--out", "nowhere/out.png"), "does not exist"),
        (("--out", "out.png", "--steps", "0"), "steps"),
        (("--out", "out.png", "--size", "9"), "16 to 4096"),
        (("--out", "out.png", "--features", "vgg19"), "--vgg-weights"),
        (("--out", "out.png", "--device", "tpu"), "unknown device"),
    ],
)
def test_wrong_options(
    tmp_path: Path, painting: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        paint(painting, "--style", painting, *options)


def test_draw_paintings(tmp_path: Path) -> None:
    args = ["style", "draw-paintings", "--out", str(tmp_path / "own"), "--size", "64"]
    result = CliRunner().invoke(app, args, catch_exceptions=False)
    assert result.stdout.splitlines() == [str(tmp_path / "own" / f"{name}.png") for name in PAINTINGS]
    with Image.open(tmp_path / "own" / "dots.png") as drawn:
        assert drawn.size == (64, 64)
    with pytest.raises(UserError, match="--force"):
        CliRunner().invoke(app, args, catch_exceptions=False)


def test_train(tmp_path: Path, photos: Path, painting: Path) -> None:
    run = tmp_path / "run"
    command = ["style", "train", str(photos), "--style", str(painting), "--run", str(run), "--preset", "tiny"]
    command += ["--kimg", "0.004", "--device", "cpu"]

    def train(*more: str) -> Result:
        return CliRunner().invoke(app, [*command, *more], catch_exceptions=False)

    done = train()
    assert done.exit_code == 0
    assert str(run / "checkpoint.pt") in done.stdout
    assert "EfficientNet-Lite0" in done.stderr, "the report names the features"
    shown = json.loads(train("--set", "style_weight=3", "--dry-run").stdout)
    assert (shown["paintings"], shown["style_weight"]) == (["glass"], 3)
    with pytest.raises(UserError, match="style_weight"):
        train("--set", "style_weight=3")
    with pytest.raises(UserError, match="given by --style"):
        train("--set", "paintings=dots")


def test_an_error_is_one_line(tmp_path: Path, painting: Path, trainface: Run) -> None:
    missing = tmp_path / "none"
    wrong = trainface("style", "train", missing, "--style", painting, "--run", tmp_path / "run", timeout=600)
    assert wrong.returncode == 2
    assert wrong.stderr.splitlines() == [f"trainface: error: {missing}: no such folder, .zip or .tar"]
    assert not (tmp_path / "run").exists()
