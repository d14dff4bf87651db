"""Shards that are joined are the archive of one run."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from genface.archive import KIND, PictureNames, open_archive, shard_indices
from genface.errors import UserError
from genface.merge import merge_archives

N = 11
MANIFEST: dict[str, Any] = {"kind": KIND, "seed": 7, "truncation": 0.7, "n": N, "image_format": "png", "shard": None}


def encode(index: int, kind: str = "png") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), (index % 256, 7, 7)).save(data, kind)
    return data.getvalue()


def draw(path: Path, shard: tuple[int, int] | None = None, *, ending: str = "png", **changes: Any) -> Path:
    manifest = {**MANIFEST, "shard": list(shard) if shard else None, **changes}
    names = PictureNames(shard_indices(manifest["n"], *(shard or (1, 1))), ending)
    kind = {"jpg": "jpeg"}.get(ending, ending)
    with open_archive(path, manifest=manifest, names=names) as archive:
        for position, index in enumerate(names.indices):
            archive.write(names[position], encode(index, kind))
    return path


def content(path: Path) -> bytes | dict[str, bytes]:
    return path.read_bytes() if path.is_file() else {entry.name: entry.read_bytes() for entry in path.iterdir()}


@pytest.mark.parametrize("count", [1, 2, 3, N])
@pytest.mark.parametrize("out", ["faces.zip", "faces.tar", "faces"])
def test_merged_shards_are_the_whole(tmp_path: Path, out: str, count: int) -> None:
    """Whatever the containers of the shards and the order in which they are given."""
    endings = [".zip", ".tar", ""]
    parts = [draw(tmp_path / f"part{k}{endings[k % 3]}", (k, count)) for k in range(1, count + 1)]
    assert merge_archives(parts[::-1], tmp_path / out) == N
    assert content(tmp_path / out) == content(draw(tmp_path / f"whole-{out}"))


@pytest.mark.parametrize("ending", ["webp", "jpg"])
def test_other_pictures(tmp_path: Path, ending: str) -> None:
    parts = [draw(tmp_path / f"{k}.zip", (k, 2), ending=ending, image_format=ending) for k in (1, 2)]
    merge_archives(parts, tmp_path / "faces.zip")
    whole = draw(tmp_path / "whole.zip", ending=ending, image_format=ending)
    assert content(tmp_path / "faces.zip") == content(whole)


@pytest.mark.parametrize(("n", "count"), [(1, 1), (10, 3), (10_000, 7), (1_000_003, 16)])
def test_shards_are_a_partition_into_nearly_equal_parts(n: int, count: int) -> None:
    shards = [shard_indices(n, number, count) for number in range(1, count + 1)]
    assert [shards[0].start, *(shard.stop for shard in shards)] == [*(shard.start for shard in shards), n]
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_names_beyond_six_digits_stay_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """As text, 1000000.png comes before 999999.png. The shard before is too large for a test."""
    n, shard = 2_000_000, (250_000, 500_000)
    indices = shard_indices(n, *shard)
    assert list(indices) == [999_996, 999_997, 999_998, 999_999]
    part = draw(tmp_path / "part.zip", shard, n=n)
    with pytest.raises(UserError, match=r"1 of 500,000 shards were given; shard 1, 2, .*, 10 and more is missing"):
        merge_archives([part], tmp_path / "faces.zip")


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    return [draw(tmp_path / f"{k}.zip", (k, 3)) for k in (1, 2, 3)]


def refused(parts: list[Path], message: str, out: str = "faces.zip") -> None:
    """Merging fails with this message, and leaves no file."""
    folder = parts[0].parent if parts else Path()
    before = {entry.name for entry in folder.iterdir()}
    with pytest.raises(UserError, match=message):
        merge_archives(parts, folder / out)
    assert {entry.name for entry in folder.iterdir()} == before


def test_missing_shards_are_named(parts: list[Path]) -> None:
    refused(parts[1:], r"2 of 3 shards were given; shard 1 is missing")
    refused(parts[1:2], r"1 of 3 shards were given; shard 1, 3 is missing")


def test_no_parts() -> None:
    refused([], "no parts to merge")


def test_a_shard_that_is_given_twice(parts: list[Path], tmp_path: Path) -> None:
    draw(tmp_path / "again.tar", (2, 3))
    refused([*parts, tmp_path / "again.tar"], r"/again\.tar: is shard 2 of 3, as .*/2\.zip is")


@pytest.mark.parametrize("change", [{"seed": 8}, {"truncation": None}, {"n": 12}])
def test_shards_of_different_drawings(parts: list[Path], tmp_path: Path, change: dict[str, Any]) -> None:
    other = draw(tmp_path / "other.zip", (3, 3), **change)
    (key, value), *_ = change.items()
    message = rf"/other\.zip: is of another drawing than .*/1\.zip \({key} {json.dumps(value)} there, .* wanted\)"
    refused([*parts[:2], other], message)


def test_shards_of_different_cuts(parts: list[Path], tmp_path: Path) -> None:
    other = draw(tmp_path / "other.zip", (3, 4))
    refused([*parts[:2], other], r"/other\.zip: is of another drawing.*\(shards 4 there, 3 wanted\)")


def test_a_whole_archive_is_no_shard(parts: list[Path], tmp_path: Path) -> None:
    refused([draw(tmp_path / "whole.zip")], r"/whole\.zip: is a whole archive, not a shard")


@pytest.mark.parametrize(
    "change",
    [
        {"shard": [0, 3]},
        {"shard": [4, 3]},
        {"shard": [1]},
        {"shard": "1/3"},
        {"shard": [1.0, 3]},
        {"n": "eleven"},
        {"n": 2},
        {"n": 10**30, "shard": [1, 10**30]},
        {"n": None},
    ],
    ids=str,
)
def test_a_manifest_that_states_nonsense(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "part.zip"
    with open_archive(path, manifest={**MANIFEST, "shard": [1, 3], **change}, names=PictureNames(range(1))) as archive:
        archive.write("000000.png", encode(0))
    refused([path], r"/part\.zip: its manifest states no shard")


@pytest.mark.parametrize("n", [10**6, 10**15])
def test_a_manifest_that_promises_too_much(tmp_path: Path, n: int) -> None:
    path = tmp_path / "part.zip"
    with open_archive(path, manifest={**MANIFEST, "n": n, "shard": [1, 1]}, names=PictureNames(range(1))) as archive:
        archive.write("000000.png", encode(0))
    refused([path], rf"/part\.zip: does not hold the pictures of its shard, 000000\.png to {n - 1}\.png")


@pytest.mark.parametrize("manifest", [None, "{}", '{"kind": "prepared-faces", "n": 1}'])
def test_what_is_no_drawn_archive(tmp_path: Path, manifest: str | None) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as photos:
        photos.writestr("000000.png", encode(0))
        if manifest is not None:
            photos.writestr("manifest.json", manifest)
    refused([tmp_path / "photos.zip"], r"/photos\.zip: is no archive that genface has drawn")


def test_a_part_that_is_not_there(parts: list[Path], tmp_path: Path) -> None:
    refused([*parts, tmp_path / "nowhere.zip"], r"/nowhere\.zip: no such")


def test_a_shard_that_is_not_finished(parts: list[Path], tmp_path: Path) -> None:
    parts[1].rename(tmp_path / ".2.zip.part")
    refused(parts, r"/2\.zip: is not finished; draw it to its end by --resume")


@pytest.mark.parametrize("change", ["lacks", "other"])
def test_a_shard_with_other_pictures(tmp_path: Path, change: str) -> None:
    part = draw(tmp_path / "part", (1, 3))
    (part / "000002.png").rename(part / "000009.png") if change == "other" else (part / "000002.png").unlink()
    refused([part], r"/part: does not hold the pictures of its shard, 000000\.png to 000002\.png")


@pytest.mark.parametrize("name", ["2.zip", "2.tar", "2"])
def test_a_damaged_picture_does_not_get_into_the_whole(parts: list[Path], tmp_path: Path, name: str) -> None:
    part = draw(tmp_path / name, (2, 3)) if name != "2.zip" else parts[1]
    file = part / "000004.png" if part.is_dir() else part
    data = bytearray(file.read_bytes())
    place = 0
    if name == "2.tar":
        with tarfile.open(part) as archive:
            place = archive.getmember("000004.png").offset_data
    elif name == "2.zip":
        place = data.index(b"000004.png") + 10
    data[place + 40] ^= 0xFF
    file.write_bytes(data)
    refused([parts[0], part, parts[2]], rf"/{name}: 000004\.png.*(damaged|cannot be unpacked).*draw this shard anew")


def test_a_part_is_not_merged_over_itself(parts: list[Path]) -> None:
    before = parts[1].read_bytes()
    with pytest.raises(UserError, match="is one of the parts"):
        merge_archives(parts, parts[1], force=True)
    assert parts[1].read_bytes() == before


def test_what_is_there_is_replaced_by_force_alone(parts: list[Path], tmp_path: Path) -> None:
    out = draw(tmp_path / "faces.zip", seed=8)
    before = out.read_bytes()
    with pytest.raises(UserError, match=r"exists already.*--force"):
        merge_archives(parts, out)
    assert out.read_bytes() == before
    merge_archives(parts, out, force=True)
    assert out.read_bytes() == draw(tmp_path / "whole.zip").read_bytes()
