"""The share of pictures with a face: counted right on drawings, with published intervals, and told in full."""

from __future__ import annotations

import io
import json
import math
import runpy
import sys
import types
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from evalface.detecting import detect
from evalface.detection import Faces, Share, Shares, detector_facts, sees_face
from genface import face_finder
from genface.errors import UserError
from genface.photos import Preparation

pytest.importorskip("cv2", reason="OpenCV is not installed")

Command = Callable[..., tuple[int, str, list[str]]]

ROOT = Path(__file__).parents[2]
drawn = types.SimpleNamespace(**runpy.run_path(str(ROOT / "tests" / "inference" / "draw_faces.py")))
DRAW: dict[Faces, Callable[[int], Image.Image]] = {"human": drawn.human_face, "cat": drawn.cat_face}
DATA = ROOT.parent / "shared" / "data"
NOTHING = Image.new("RGB", (64, 64), (90, 120, 60))

each_kind = pytest.mark.parametrize("faces", ["human", "cat"])


def archive(path: Path, pictures: Sequence[Image.Image | bytes], record: Preparation | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for index, picture in enumerate(pictures):
            data = io.BytesIO()
            if isinstance(picture, bytes):
                data.write(picture)
            else:
                picture.save(data, "PNG")
            file.writestr(f"{index:06d}.png", data.getvalue())
        if record:
            file.writestr("manifest.json", json.dumps({"kind": "genface-archive", "preparation": record.to_dict()}))
    return path


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    """Real photos of 160 px, 9 of 10 with a face, and fakes of 64 px that tell so, 3 of the first 4 with one."""
    record = Preparation(size=64)
    real = archive(tmp_path / "real.zip", [drawn.human_face(160)] * 9 + [NOTHING.resize((160, 160))])
    face = drawn.human_face(64)
    return real, archive(tmp_path / "fake.zip", [face, NOTHING, face, face, NOTHING, NOTHING], record)


@pytest.mark.parametrize(
    ("found", "n", "low", "high"),
    # Newcombe 1998 (Statistics in Medicine 17, table I), method 3: Wilson's score interval, four digits.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval(found: int, n: int, low: float, high: float) -> None:
    interval = Share(found=found, n=n).interval()
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


def test_katz_interval_is_the_delta_method_on_the_logarithm() -> None:
    shares = Shares(real=Share(found=940, n=1000), fake=Share(found=370, n=500))
    error = math.sqrt(1 / 370 - 1 / 500 + 1 / 940 - 1 / 1000)
    interval = shares.ratio_interval()
    assert shares.ratio == pytest.approx(0.74 / 0.94)
    assert interval is not None
    # 1.959964 is the normal quantile at 0.975.
    expected = [0.74 / 0.94 * math.exp(sign * 1.959964 * error) for sign in (-1, 1)]
    assert [interval.low, interval.high] == pytest.approx(expected, rel=1e-6)


@given(st.tuples(st.integers(1, 400), st.integers(1, 400)), st.tuples(st.integers(1, 400), st.integers(1, 400)))
def test_the_ratio_turned_round(one: tuple[int, int], other: tuple[int, int]) -> None:
    a, b = (Share(found=min(pair), n=max(pair)) for pair in (one, other))
    there, back = Shares(real=a, fake=b), Shares(real=b, fake=a)
    forth, home = there.ratio_interval(), back.ratio_interval()
    assert there.ratio is not None
    assert back.ratio is not None
    assert there.ratio * back.ratio == pytest.approx(1)
    assume(forth is not None and home is not None)
    assert forth is not None
    assert home is not None
    assert forth.low <= there.ratio <= forth.high
    assert forth.low * home.high == pytest.approx(1)


@pytest.mark.parametrize(
    ("real", "fake", "ratio"),
    [((0, 5), (3, 5), None), ((3, 5), (0, 5), 0.0), ((0, 5), (0, 5), None), ((5, 5), (7, 7), 1)],
)
def test_no_interval_where_there_is_none(real: tuple[int, int], fake: tuple[int, int], ratio: float | None) -> None:
    shares = Shares(real=Share(found=real[0], n=real[1]), fake=Share(found=fake[0], n=fake[1]))
    assert (shares.ratio, shares.ratio_interval()) == (ratio, None)
    json.dumps(shares.to_dict(), allow_nan=False)


@each_kind
@pytest.mark.parametrize("size", [48, 64, 128, 300])
def test_a_face_that_fills_its_picture_is_seen(faces: Faces, size: int) -> None:
    face, rng = DRAW[faces](size), np.random.default_rng(0)
    assert sees_face(np.asarray(face), faces)
    assert not any(sees_face(np.asarray(scrambled(face, rng)), faces) for _ in range(5))


@each_kind
def test_nothing_is_seen_in_nothing(faces: Faces) -> None:
    rng = np.random.default_rng(0)
    assert not sees_face(np.asarray(NOTHING), faces)
    assert not any(sees_face(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8), faces) for _ in range(20))


@each_kind
def test_a_small_face_does_not_count(faces: Faces) -> None:
    # Its box is at most 0.95 of the drawing, which takes 0.31 of the picture.
    photo = drawn.snapshot((DRAW[faces](80), (80, 80)), size=(256, 256))
    assert face_finder.find_face(photo, "face" if faces == "human" else "cat-face") is not None
    assert not sees_face(np.asarray(photo), faces)


def test_both_sides_are_counted_and_recorded(sides: tuple[Path, Path]) -> None:
    said: list[str] = []
    found = detect(*sides, faces="human", n=4, seed=1, say=said.append)
    assert (found.shares.fake.found, found.shares.fake.n) == (3, 4), "the first four by index"
    assert found.shares.real.n == 4
    assert found.real.preparation == Preparation(size=64).to_dict()
    assert found.fake.preparation is None
    assert found.real.record == found.fake.record == Preparation(size=64).to_dict()
    assert (found.real.of, found.fake.of, found.real.size, found.fake.size) == (10, 6, 64, 64)
    assert any("as the manifest of" in line for line in said)
    document = json.loads(json.dumps(found.document(), allow_nan=False))
    assert (document["kind"], document["schema_version"]) == ("evalface-detection", 1)
    assert document["scores"]["fake"]["value"] == 0.75
    assert document["detector"] == detector_facts("human")
    assert document["detector"]["cascade"] == "haarcascade_frontalface_alt2.xml"
    assert document["settings"] == {"n": 4, "seed": 1, "on_broken": "fail"}
    assert document["notes"] == said


def test_the_sample_of_reals_is_the_seeds(tmp_path: Path) -> None:
    pictures = [drawn.human_face(64), *[Image.new("RGB", (64, 64), (level, 90, 90)) for level in range(40)]]
    real, fake = archive(tmp_path / "real.zip", pictures), archive(tmp_path / "fake.zip", pictures[:8])
    contents = [detect(real, fake, faces="human", n=8, seed=seed).real.contents_sha256 for seed in (0, 0, 1)]
    assert contents[0] == contents[1] != contents[2]
    every = detect(real, fake, faces="human", n=41, seed=3)
    assert (every.shares.real.found, every.shares.real.n) == (1, 41)
    assert any("holds 8 pictures, so 41 fake ones cannot be looked at" in note for note in every.notes)


def test_a_generator_draws_its_own(tmp_path: Path) -> None:
    real = archive(tmp_path / "real.zip", [drawn.cat_face(64)] * 4)
    found = detect(real, ROOT / "tests" / "inference" / "tiny.onnx", faces="cat", n=6, seed=2)
    assert (found.fake.kind, found.fake.n, found.fake.of, found.real.n) == ("generator", 6, 6, 4)
    assert found.fake.manifest is not None
    assert found.fake.manifest["seed"] == 2


def test_reals_cut_out_by_the_finder_are_told(tmp_path: Path) -> None:
    placed = [drawn.snapshot((drawn.human_face(200), (60 * index, 90))) for index in range(3)]
    real = archive(tmp_path / "real.zip", [*placed, drawn.snapshot()])
    fake = archive(tmp_path / "fake.zip", [drawn.human_face(64)], Preparation(size=64, crop="face"))
    found = detect(real, fake, faces="human", n=4)
    assert (found.shares.real.found, found.shares.real.n) == (3, 3), "the one without a face cannot be cut out"
    assert any("no face found, left out" in line for line in found.real.skipped)
    assert any("where the same finder had seen one" in note for note in found.notes)


def test_broken_pictures(sides: tuple[Path, Path], tmp_path: Path) -> None:
    broken = archive(tmp_path / "broken.zip", [b"no picture", drawn.human_face(64)], Preparation(size=64))
    with pytest.raises(UserError, match=r"broken\.zip: 1 of 2 pictures are broken: 000000\.png"):
        detect(sides[0], broken, faces="human")
    found = detect(sides[0], broken, faces="human", on_broken="skip")
    assert (found.shares.fake.found, found.shares.fake.n, found.fake.n) == (1, 1, 1)
    assert any("000000.png" in line for line in found.fake.skipped)


def test_what_cannot_be_looked_at(sides: tuple[Path, Path], tmp_path: Path) -> None:
    np.savez(tmp_path / "real.npz", mu=np.zeros(2), sigma=np.eye(2))
    with pytest.raises(UserError, match=r"real\.npz: is a statistics file; faces are looked for in pictures"):
        detect(tmp_path / "real.npz", sides[1], faces="human")
    with pytest.raises(UserError, match="n must be at least 1, not 0"):
        detect(*sides, faces="human", n=0)
    with pytest.raises(UserError, match="--size 32 contradicts"):
        detect(*sides, faces="human", size=32)


def test_without_opencv_its_package_is_named(sides: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    face_finder._opencv.cache_clear()
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match=r"pip install opencv-python-headless==4\.\*"):
        detect(*sides, faces="human")


def test_the_command(sides: tuple[Path, Path], tmp_path: Path, evalface: Command) -> None:
    out = tmp_path / "found.json"
    options: tuple[Any, ...] = ("--faces", "human", "--n", 4, "--json", out)
    code, text, said = evalface("detect", *sides, *options)
    assert code == 0
    head, reals, fakes, ratio, settings = text.splitlines()
    document = json.loads(out.read_text())
    assert head.split() == ["score", "value", "95", "%", "interval", "on"]
    assert reals.startswith(f"reals with a face  {document['scores']['real']['value']:.4f}  ")
    assert fakes.startswith("fakes with a face  0.7500  0.3006 to 0.9544  3 of 4, the first by index, of 6")
    assert ratio.startswith(f"fakes by reals     {document['scores']['ratio']['value']:.4f}")
    assert "haarcascade_frontalface_alt2.xml" in settings
    assert "from 64 to 128 px" in settings
    assert said[-1] == f"record: {out}"
    code, text, said = evalface("detect", *sides, *options)
    assert (code, text, len(said)) == (2, "", 1)
    assert "exists already" in said[0]
    assert evalface("detect", *sides, *options, "--force")[0] == 0


def test_the_command_says_where_there_is_no_interval(tmp_path: Path, evalface: Command) -> None:
    real, fake = archive(tmp_path / "a.zip", [NOTHING] * 2), archive(tmp_path / "b.zip", [NOTHING])
    code, text, _ = evalface("detect", real, fake, "--faces", "cat")
    assert code == 0
    assert "fakes by reals       none" in text
    assert "no interval: no face on a side" in text
    assert evalface("detect", real, fake)[0] == 2, "whose faces must be said"


@pytest.mark.real_faces
@pytest.mark.parametrize(
    ("faces", "file", "at_least"),
    # Measured on 600 others: 0.88 and 0.99; with phases scrambled 0.002 and 0.000.
    [("cat", "afhq-cat-256.zip", 0.75), ("human", "lfw-aligned-150.zip", 0.95)],
)
def test_real_faces_are_seen_and_their_scrambled_copies_are_not(
    faces: Faces, file: str, at_least: float, tmp_path: Path
) -> None:
    if not (DATA / file).is_file():
        pytest.skip(f"{DATA / file} is not there")
    with zipfile.ZipFile(DATA / file) as source:
        names = [name for name in sorted(source.namelist()) if name.endswith(".jpg")][::100][:50]
        photos = [Image.open(io.BytesIO(source.read(name))).convert("RGB").resize((64, 64)) for name in names]
    rng = np.random.default_rng(0)
    found = detect(
        archive(tmp_path / "real.zip", photos),
        archive(tmp_path / "fake.zip", [scrambled(photo, rng) for photo in photos]),
        faces=faces,
    )
    assert found.shares.real.value >= at_least
    assert found.shares.fake.found <= 2


def scrambled(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Another picture of the same spectrum: the phases of white noise are added to its own, alike in all channels."""
    spectrum = np.fft.fft2(np.asarray(photo, dtype=float), axes=(0, 1))
    phases = np.exp(1j * np.angle(np.fft.fft2(rng.normal(size=photo.size[::-1]))))
    phases[0, 0] = 1
    pixels = np.fft.ifft2(spectrum * phases[..., None], axes=(0, 1)).real
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
