"""Killed at any byte, or damaged by a power loss: finished as one run would have written it, or the damage is named."""

from __future__ import annotations

import runpy
import types
from pathlib import Path

import pytest

from genface.archive import Archive, PictureNames, open_archive, unfinished_path
from genface.errors import UserError
from genface.sources import open_source

stopped = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("stopped_archives.py"))))
MANIFEST, N, PICTURES = stopped.MANIFEST, stopped.N, stopped.PICTURES
begin, content, draw, encode = stopped.begin, stopped.content, stopped.draw, stopped.encode
pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


@pytest.mark.parametrize("name", ["faces.zip", "faces.tar"])
def test_cut_off_at_any_byte(tmp_path: Path, uninterrupted: Path, name: str) -> None:
    """In the middle of a head, a name, a check sum, a picture, a block, the directory, or between two of them."""
    whole = (uninterrupted / name).read_bytes()
    path, part = tmp_path / name, tmp_path / f".{name}.part"
    every = 1 if name.endswith(".zip") else 61  # prime to 512, so all places in a block come up; and its borders
    borders = {offset + step for offset in range(0, len(whole), 512) for step in (-1, 0, 1)}
    recovered = set()
    for length in sorted({*range(0, len(whole) + 1, every), *borders, len(whole)} & set(range(len(whole) + 1))):
        part.write_bytes(whole[:length])
        recovered.add(draw(path, resume=True))
        assert path.read_bytes() == whole, f"cut off at byte {length}"
        assert not part.exists()
        path.unlink()
    assert recovered == set(range(N + 1))


@pytest.mark.parametrize("name", ["faces.zip", "faces.tar"])
def test_any_byte_damaged(tmp_path: Path, uninterrupted: Path, name: str) -> None:
    """After a power loss: the archive is finished as it should be, or the damage is named; never in silence."""
    whole = (uninterrupted / name).read_bytes()
    path, part = tmp_path / name, tmp_path / f".{name}.part"
    refusals: dict[int, str] = {}
    finished = 0
    for at in range(0, len(whole), 1 if name.endswith(".zip") else 37):
        part.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        try:
            draw(path, resume=True)
        except UserError as error:
            refusals[at] = str(error)
            continue
        assert path.read_bytes() == whole, f"damaged at byte {at}"
        path.unlink()
        finished += 1
    assert finished > 100
    assert all(str(part) in message for message in refusals.values())
    assert max(refusals) < 1100  # in front of the pictures: the manifest and its head


@pytest.mark.parametrize(
    "tail", [b"\0" * 5000, b"PK\3\4" + b"\xff" * 99, b"PK\1\2", b"000002.png", bytes(range(256)) * 9]
)
@pytest.mark.parametrize("name", ["faces.zip", "faces.tar"])
def test_rubbish_at_the_end(tmp_path: Path, uninterrupted: Path, name: str, tail: bytes) -> None:
    part = begin(tmp_path / name, 2)
    with part.open("ab") as file:
        file.write(tail)
    assert draw(tmp_path / name, resume=True) == 2
    assert content(tmp_path / name) == content(uninterrupted / name)


@pytest.mark.parametrize("length", [0, 1, 8, 40, len(PICTURES[2]) - 1])
def test_a_folder_with_part_of_a_picture(tmp_path: Path, uninterrupted: Path, length: int) -> None:
    part = begin(tmp_path / "faces", 3)
    (part / "000002.png").write_bytes(PICTURES[2][:length])
    assert draw(tmp_path / "faces", resume=True) == 2
    assert content(tmp_path / "faces") == content(uninterrupted / "faces")


@pytest.mark.parametrize("damage", ["gone", "empty", "zeros", "longer"])
def test_a_folder_with_a_damaged_picture_in_its_middle(tmp_path: Path, uninterrupted: Path, damage: str) -> None:
    """A power loss may cost an earlier picture than the last one; all from there on are drawn again."""
    part = begin(tmp_path / "faces", 3)
    picture = part / "000001.png"
    damaged = {"empty": b"", "zeros": bytes(len(PICTURES[1])), "longer": PICTURES[1] + b"more"}
    if damage == "gone":
        picture.unlink()
    else:
        picture.write_bytes(damaged[damage])
    assert draw(tmp_path / "faces", resume=True) == 1
    assert content(tmp_path / "faces") == content(uninterrupted / "faces")


@pytest.mark.parametrize("manifest", [b"", b"{", None])
def test_a_folder_killed_in_its_manifest(tmp_path: Path, uninterrupted: Path, manifest: bytes | None) -> None:
    part = tmp_path / ".faces.part"
    part.mkdir()
    if manifest is not None:
        (part / "manifest.json").write_bytes(manifest)
    assert draw(tmp_path / "faces", resume=True) == 0
    assert content(tmp_path / "faces") == content(uninterrupted / "faces")


def test_a_folder_with_a_stray_temporary_file(tmp_path: Path, uninterrupted: Path) -> None:
    part = begin(tmp_path / "faces", 2)
    (part / ".000002.png.tmp").write_bytes(b"half")
    assert draw(tmp_path / "faces", resume=True) == 2
    assert content(tmp_path / "faces") == content(uninterrupted / "faces")


@pytest.mark.parametrize("damage", ["short", "zeros"])
@pytest.mark.parametrize("kind", ["jpeg", "webp"])
@pytest.mark.parametrize("name", ["faces.tar", "faces"])
def test_other_pictures_are_checked_too(tmp_path: Path, name: str, kind: str, damage: str) -> None:
    """These two forms of archives state no check sums of what they hold."""
    pictures = [encode(index, kind) for index in range(3)]
    damaged = pictures[2][:-1] if damage == "short" else bytes(len(pictures[2]))
    names = PictureNames(range(3), {"jpeg": "jpg"}.get(kind, kind))

    def write(path: Path, last: bytes, **ways: bool) -> Archive:
        with open_archive(path, manifest=MANIFEST, names=names, keep_unfinished=True, **ways) as archive:
            for index, data in list(enumerate([*pictures[:2], last]))[archive.recovered :]:
                archive.write(names[index], data)
        return archive

    write(tmp_path / name, damaged)
    (tmp_path / name).rename(unfinished_path(tmp_path / name))
    assert write(tmp_path / name, pictures[2], resume=True).recovered == 2
    with open_source(tmp_path / name) as source:
        assert source.read(names[2]) == pictures[2]


@pytest.mark.parametrize("manifest", [b"", b"{", b"[]", b"[" * 200_000, b"\xff\xfe", b'{"seed": NaN}'])
def test_a_damaged_manifest_in_front_of_pictures(tmp_path: Path, manifest: bytes) -> None:
    part = begin(tmp_path / "faces", 2)
    (part / "manifest.json").write_bytes(manifest)
    with pytest.raises(UserError, match=r"\.faces\.part, with 2 pictures, has a damaged manifest\.json.*--force"):
        draw(tmp_path / "faces", resume=True)
    assert draw(tmp_path / "faces", resume=True, force=True) == 0


def test_a_finished_folder_that_lacks_a_picture(tmp_path: Path) -> None:
    draw(tmp_path / "faces")
    (tmp_path / "faces" / "000002.png").unlink()
    with pytest.raises(UserError, match=r"is damaged: it lacks 000002\.png.*--force"):
        draw(tmp_path / "faces", resume=True)
    assert draw(tmp_path / "faces", resume=True, force=True) == 0
