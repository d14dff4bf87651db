"""What may stand on either side of a score, and how the real side is prepared like the fake one."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evalface.extractors.pixels import Pixels
from evalface.features import side_features
from evalface.gaussian_file import write_statistics
from evalface.images import Pictures, Side
from evalface.inputs import AlignedSide, align, open_side
from evalface.moments import Moments
from evalface.statistics_side import StatisticsSide
from genface.errors import UserError
from genface.photos import Preparation

Maker = Callable[..., Path]

NOISE = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)


def archive_manifest(size: int, **more: Any) -> dict[str, Any]:
    return {"kind": "genface-archive", "preparation": Preparation(size=size).to_dict(), **more}


def aligned(real: Path, fake: Path, size: int | None = None) -> tuple[AlignedSide, AlignedSide, str]:
    return align(open_side(real, role="real"), open_side(fake, role="fake"), size)


def sides(real: Path, fake: Path, size: int | None = None) -> tuple[Side, Side, str]:
    one, other, said = aligned(real, fake, size)
    assert isinstance(one, Side)
    assert isinstance(other, Side)
    return one, other, said


def test_the_fakes_record_prepares_the_reals(make_folder: Maker, make_archive: Maker) -> None:
    real, fake, said = sides(make_folder("real", size=40), make_archive("fake.zip", archive_manifest(16)))
    assert real.preparation == real.record == fake.record == Preparation(size=16)
    assert fake.preparation is None
    assert real.size == fake.size == 16
    assert said.startswith("real pictures are prepared as the manifest of ")
    assert "16 px, center crop, lanczos" in said


def test_reals_prepared_by_the_same_record_are_used_as_they_are(make_archive: Maker) -> None:
    record = {"kind": "prepared-faces", "preparation": Preparation(size=16).to_dict()}
    real, _, said = sides(make_archive("real.zip", record), make_archive("fake.zip", archive_manifest(16)))
    assert real.preparation is None
    assert "used as it is" in said


def test_another_record_on_the_reals_is_an_error(make_archive: Maker) -> None:
    record = {"kind": "prepared-faces", "preparation": Preparation(size=32).to_dict()}
    with pytest.raises(UserError, match=r"real\.zip was prepared differently \(32 px.*fake\.zip \(16 px"):
        aligned(make_archive("real.zip", record, size=32), make_archive("fake.zip", archive_manifest(16)))


def test_fakes_without_a_record_give_their_size(make_folder: Maker) -> None:
    real, fake, said = sides(make_folder("real", size=40), make_folder("fake", size=24))
    assert real.preparation == Preparation(size=24)
    assert fake.preparation is None
    assert "carry no record" in said


def test_a_strangers_manifest_is_no_record(make_folder: Maker, make_archive: Maker) -> None:
    fake = make_archive("fake.zip", {"kind": "something", "preparation": {"size": 99}}, size=24)
    assert sides(make_folder("real", size=40), fake)[0].preparation == Preparation(size=24)


def test_size_prepares_both_sides(make_folder: Maker) -> None:
    real, fake, said = sides(make_folder("real", size=40), make_folder("fake", size=24), size=16)
    assert real.preparation == fake.preparation == Preparation(size=16)
    assert "--size" in said


def test_mixed_fakes_need_a_size(make_folder: Maker) -> None:
    fake = make_folder("fake", size=24)
    (fake / "other.png").write_bytes((make_folder("larger", n=1, size=32) / "000.png").read_bytes())
    with pytest.raises(UserError, match=r"24x24, 32x32.*--size N"):
        aligned(make_folder("real", size=40), fake)
    assert sides(fake, fake, size=16)[0].size == 16


def test_fakes_too_large_for_any_preparation_need_a_size(make_folder: Maker) -> None:
    fake = make_folder("fake", n=0)
    Image.new("RGB", (1032, 1032)).save(fake / "000.png")
    with pytest.raises(UserError, match=r"/fake: .*1032x1032.*8 to 1024.*--size N"):
        aligned(make_folder("real", size=40), fake)
    assert sides(make_folder("again", size=40), fake, size=16)[1].size == 16


def test_size_against_a_record_is_an_error(make_folder: Maker, make_archive: Maker) -> None:
    with pytest.raises(UserError, match="--size 32 contradicts"):
        aligned(make_folder("real"), make_archive("fake.zip", archive_manifest(16)), size=32)
    assert sides(make_folder("same"), make_archive("fake2.zip", archive_manifest(16)), size=16)[1].size == 16


@pytest.mark.parametrize("record", ["64 px", {"side": 64}, {"size": 64, "crop": "ears"}])
def test_a_record_of_another_version_is_an_error(record: Any, make_archive: Maker) -> None:
    fake = make_archive("fake.zip", {"kind": "genface-archive", "preparation": record})
    with pytest.raises(UserError, match=r"^\S*/fake\.zip: the preparation in its manifest .*(record|crop rule)"):
        open_side(fake, role="fake")


# Statistics in the place of pictures


def statistics(path: Path, preparation: Preparation | None, rows: np.ndarray | None = None) -> Path:
    """A file of ours, or one of pytorch-fid's where there is no preparation."""
    rows = np.random.default_rng(0).normal(size=(20, 3)) if rows is None else rows
    if preparation is None:
        np.savez(path, mu=rows.mean(axis=0), sigma=np.cov(rows, rowvar=False))
    else:
        identity = Pixels().identity()
        write_statistics(path, Moments.of(rows), extractor=identity, preparation=preparation.to_dict())
    return path


def test_statistics_on_the_real_side(make_folder: Maker, make_archive: Maker, tmp_path: Path) -> None:
    drawn = make_archive("fake.zip", archive_manifest(16))
    ours, theirs = statistics(tmp_path / "a.npz", Preparation(size=16)), statistics(tmp_path / "b.npz", None)
    real, fake, said = aligned(ours, drawn)
    assert isinstance(real, StatisticsSide)
    assert isinstance(fake, Side)
    assert fake.preparation is None
    assert real.n == 20
    assert "a.npz is prepared so already" in said
    real, fake, said = aligned(theirs, drawn)
    assert isinstance(real, StatisticsSide)
    assert real.n is None
    assert "nothing tells how the pictures of" in said
    with pytest.raises(UserError, match=r"a\.npz was prepared differently \(16 px.*other\.zip \(24 px"):
        aligned(ours, make_archive("other.zip", archive_manifest(24), size=24))
    with pytest.raises(UserError, match="prepared differently"):
        aligned(ours, make_folder("plain", size=24))
    assert isinstance(aligned(ours, make_folder("larger", size=24), size=16)[1], Side)


def test_statistics_on_the_fake_side(make_folder: Maker, tmp_path: Path) -> None:
    photos = make_folder("photos", size=40)
    real, fake, said = aligned(photos, statistics(tmp_path / "a.npz", Preparation(size=16)))
    assert isinstance(real, Side)
    assert isinstance(fake, StatisticsSide)
    assert real.preparation == Preparation(size=16)
    assert said.startswith(f"real pictures are prepared as {tmp_path / 'a.npz'} says")
    real, _, said = aligned(photos, statistics(tmp_path / "b.npz", None))
    assert isinstance(real, Side)
    assert (real.size, real.preparation) == (40, None)
    assert "nothing tells how" in said
    real, _, _ = aligned(photos, tmp_path / "b.npz", size=16)
    assert isinstance(real, Side)
    assert real.preparation == Preparation(size=16)


def test_statistics_on_both_sides(tmp_path: Path) -> None:
    small, large = (statistics(tmp_path / f"{size}.npz", Preparation(size=size)) for size in (16, 32))
    theirs = statistics(tmp_path / "b.npz", None)
    assert aligned(small, small)[0].record == Preparation(size=16)
    with pytest.raises(UserError, match="prepared differently"):
        aligned(small, large)
    for one, other in ((small, theirs), (theirs, small), (theirs, theirs)):
        assert "nothing tells how" in aligned(one, other)[2]


def test_statistics_belong_to_their_extractor(tmp_path: Path) -> None:
    class Other(Pixels):
        version = 2

    ours = open_side(statistics(tmp_path / "a.npz", Preparation(size=16)), role="real")
    theirs = open_side(statistics(tmp_path / "b.npz", None), role="real")
    assert isinstance(ours, StatisticsSide)
    assert isinstance(theirs, StatisticsSide)
    assert ours.check_extractor(Pixels()) is None
    with pytest.raises(UserError, match=r"a\.npz: statistics of another extractor \(version 1, here 2\)"):
        ours.check_extractor(Other())
    assert "does not say what its features are" in (theirs.check_extractor(Other()) or "")


def test_statistics_of_parts_merge_exactly(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).normal(1e4, 1, size=(60, 5))
    cuts = [rows[:7], rows[7:40], rows[40:]]
    parts = [statistics(tmp_path / f"{i}.npz", Preparation(size=16), part) for i, part in enumerate(cuts)]
    merged = open_side(parts, role="real")
    assert isinstance(merged, StatisticsSide)
    assert merged.n == 60
    np.testing.assert_allclose(merged.statistics.gaussian.mu, rows.mean(axis=0), rtol=1e-13)
    # Of a spread of 1 about 10,000: 12 digits are what float64 leaves of 16.
    np.testing.assert_allclose(merged.statistics.gaussian.sigma(), np.cov(rows, rowvar=False), rtol=0, atol=1e-11)
    with pytest.raises(UserError, match=r"b\.npz: does not say how many pictures"):
        open_side([parts[0], statistics(tmp_path / "b.npz", None)], role="real")
    with pytest.raises(UserError, match=r"c\.npz: another preparation than that of .*0\.npz"):
        open_side([parts[0], statistics(tmp_path / "c.npz", Preparation(size=32))], role="real")


# Shards


@pytest.fixture
def shards(make_archive: Maker) -> Callable[..., list[Path]]:
    """Three archives of one drawing of 20 pictures, and the whole."""

    def make(**more: Any) -> list[Path]:
        paths = []
        for number, (first, stop) in enumerate([(0, 6), (6, 13), (13, 20), (0, 20)], 1):
            shard = [number, 3] if number < 4 else None
            path = make_archive(f"{number}.zip", {}, n=20)
            with zipfile.ZipFile(path) as archive:
                faces = {f"{i:06d}.png": archive.read(f"{i:06d}.png") for i in range(first, stop)}
            with zipfile.ZipFile(path, "w") as archive:
                manifest = archive_manifest(16, n=20, shard=shard, seed=1, **more)
                archive.writestr("manifest.json", json.dumps(manifest))
                for name, data in faces.items():
                    archive.writestr(name, data)
            paths.append(path)
        return paths

    return make


def test_shards_are_the_archive_that_they_merge_into(shards: Callable[..., list[Path]], own_cache: Path) -> None:
    *parts, whole = shards()
    found, hashes = {}, {}
    for key, path in (("parts", [parts[2], parts[0], parts[1]]), ("whole", whole)):
        with open_side(path, role="fake") as source:
            assert isinstance(source, Pictures)
            side = Side(source=source, size=16, preparation=None)
            found[key] = side_features(side, [Pixels()], "fail", "fake", show_progress=False)
            hashes[key] = side.survey.sha256
            assert source.record == Preparation(size=16)
            assert (source.manifest or {})["n"] == 20
    assert found["parts"].names == found["whole"].names == [f"{i:06d}.png" for i in range(20)]
    assert np.array_equal(found["parts"].values["pixels"], found["whole"].values["pixels"])
    assert hashes["parts"] == hashes["whole"]


def test_shards_on_the_command_line(
    shards: Callable[..., list[Path]],
    make_folder: Maker,
    tmp_path: Path,
    evalface: Callable[..., tuple[int, str, list[str]]],
) -> None:
    *parts, whole = shards()
    real = make_folder("real", n=14, size=40)
    options = ["--extractor", "pixels", "--no-tsne", "--out"]
    assert evalface(real, *reversed(parts), *options, tmp_path / "a")[0] == 0
    assert evalface(real, whole, *options, tmp_path / "b")[0] == 0
    of_parts, of_whole = (json.loads((tmp_path / name / "report.json").read_text())["scores"] for name in "ab")
    assert of_parts == of_whole


def test_what_are_no_shards_of_one_drawing(shards: Callable[..., list[Path]], make_folder: Maker) -> None:
    one, two, _, whole = shards()
    with pytest.raises(UserError, match=r"4\.zip: is no shard"):
        open_side([one, whole], role="fake")
    with pytest.raises(UserError, match="/plain: is no shard"):
        open_side([one, make_folder("plain")], role="fake")
    with pytest.raises(UserError, match=r"1\.zip: holds 000000\.png, and so does .*1\.zip"):
        open_side([one, two, one], role="fake")
    other = two.with_name("other.zip")
    two.rename(other)
    shards(truncation=0.5)
    with pytest.raises(UserError, match=r"other\.zip: is of another drawing than .*1\.zip \(truncation nothing there"):
        open_side([one, other], role="fake")


# Bad input


def encoded(mode: str = "RGB", kind: str = "PNG", pixels: np.ndarray = NOISE, **options: Any) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(data, kind, **options)
    return data.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: 90 degrees
    return encoded(kind="JPEG", exif=exif)


STRANGE: dict[str, bytes] = {
    "gray.png": encoded("L"),
    "alpha.png": encoded("RGBA"),
    "palette.png": encoded("P"),
    "deep.png": encoded("I;16"),
    "print.jpg": encoded("CMYK", "JPEG"),
    "SHOUTED.JPG": encoded(kind="JPEG"),
    "turned.jpeg": turned(),
    "nested/deeper/again/a.webp": encoded(kind="WEBP"),
    "gesicht ü 顔 🙂.png": encoded(),
    "wide.png": encoded(pixels=np.tile(NOISE, (1, 3, 1))),
}
BROKEN: dict[str, tuple[bytes, str]] = {
    "cut.png": (encoded()[:700], "cannot be decoded"),
    "nothing.png": (b"", "empty file"),
    "text.png": (b"I am a text", "not a picture that Pillow can read"),
    "tiny.png": (encoded(pixels=NOISE[:4, :4]), "4x4: sides must be"),
}


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def test_strange_pictures_are_pictures(tmp_path: Path, make_folder: Maker) -> None:
    folder = fill(tmp_path / "real", STRANGE)
    os.symlink(folder, folder / "nested" / "loop")
    real, _, _ = sides(folder, make_folder("fake"))
    found = side_features(real, [Pixels()], "fail", "real", show_progress=False)
    assert found.names == sorted(STRANGE)
    assert found.values["pixels"].shape == (len(STRANGE), 16 * 16 * 3)
    assert found.broken == []
    # EXIF's quarter turn: the resize rounds between its two directions, other places would differ by 50 levels.
    faces = dict(zip(found.names, found.values["pixels"].astype(float), strict=True))
    upright = np.rot90(faces["SHOUTED.JPG"].reshape(16, 16, 3), -1).ravel()
    assert np.abs(faces["turned.jpeg"] - upright).mean() < 1


def test_broken_pictures_are_all_listed_and_counted(tmp_path: Path, make_folder: Maker) -> None:
    files = {name: data for name, (data, _) in BROKEN.items()}
    folder = fill(tmp_path / "real", {**STRANGE, **files})
    real, _, _ = sides(folder, make_folder("fake"))
    with pytest.raises(UserError, match="4 of 14 pictures are broken") as error:
        side_features(real, [Pixels()], "fail", "real", show_progress=False)
    assert all(f"{name}: {reason}" in str(error.value) for name, (_, reason) in BROKEN.items())
    found = side_features(real, [Pixels()], "skip", "real", show_progress=False)
    assert found.names == sorted(STRANGE)
    for name, (_, reason) in BROKEN.items():
        assert any(line.startswith(f"skipped broken picture {name}: {reason}") for line in found.broken)
    assert found.broken[-1].endswith("skipped 4 of 14 pictures")


def test_the_same_folder_twice(make_folder: Maker) -> None:
    folder = make_folder("one")
    real, fake, _ = sides(folder, folder)
    one, other = (
        side_features(side, [Pixels()], "fail", "", show_progress=False).values["pixels"] for side in (real, fake)
    )
    assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("gone", None, "no such folder"),
        ("gone.npz", None, r"gone\.npz: cannot be read \(No such file"),
        ("gone.onnx", None, r"gone\.onnx"),
        ("text.npz", b"no zip", r"text\.npz: damaged, or no statistics file"),
        ("text.onnx", b"no graph", r"text\.onnx"),
        ("text.zip", b"no zip", "neither a folder nor a readable"),
        ("text.tar", b"no tar", r"text\.tar: cannot be read as a \.tar"),
        ("text.7z", b"7z", "unpack this one"),
    ],
)
def test_what_cannot_be_opened_is_named(name: str, data: bytes | None, message: str, tmp_path: Path) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=message):
        open_side(tmp_path / name, role="fake")


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no pictures"):
        open_side(tmp_path, role="real")
    with pytest.raises(UserError, match="no path is given for the real side"):
        open_side([], role="real")


def test_a_number_belongs_to_a_generator(make_folder: Maker) -> None:
    folder = make_folder("a")
    options: list[dict[str, Any]] = [{"n": 5}, {"truncation": 0.7}]
    for option in options:
        with pytest.raises(UserError, match="/a: a number of pictures and a truncation belong to a generator"):
            open_side(folder, role="fake", **option)
