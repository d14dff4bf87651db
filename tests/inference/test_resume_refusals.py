"""What is not taken up again, nor written over: another drawing, somebody else's files."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import types
from pathlib import Path

import pytest

from genface.archive import PictureNames, open_archive, unfinished_path
from genface.errors import UserError
from genface.resume import differences

stopped = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("stopped_archives.py"))))
ALL, MANIFEST, N, PICTURES = stopped.ALL, stopped.MANIFEST, stopped.N, stopped.PICTURES
begin, content, draw, names_in = stopped.begin, stopped.content, stopped.draw, stopped.names_in
pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


# Another drawing


@pytest.mark.parametrize("name", ALL)
def test_an_unfinished_archive_is_not_lost_by_a_forgotten_option(tmp_path: Path, name: str) -> None:
    part = begin(tmp_path / name, 3)
    before = content(part)
    message = rf"/{name}: was begun already, and .*/\.{name}\.part holds 3 of its pictures.*--resume.*--force"
    with pytest.raises(UserError, match=message):
        draw(tmp_path / name, {**MANIFEST, "seed": 8}, n=2)
    assert content(part) == before


@pytest.mark.parametrize("name", ALL)
def test_an_unfinished_archive_of_another_drawing(tmp_path: Path, name: str) -> None:
    part = begin(tmp_path / name, 2)
    before = content(part)
    other = {**MANIFEST, "model_sha256": "cd" * 32, "seed": 8, "versions": {"numpy": "2.1"}, "truncation": 0.5}
    with pytest.raises(UserError, match=r"cannot be resumed.*2 pictures, is of another drawing") as caught:
        draw(tmp_path / name, other, resume=True)
    for difference in (
        f'model_sha256 "{"ab" * 32}" there, "{"cd" * 32}" wanted',
        "seed 7 there, 8 wanted",
        'versions.numpy "2.0" there, "2.1" wanted',
        "truncation nothing there, 0.5 wanted",
        str(part),
    ):
        assert difference in str(caught.value)
    assert content(part) == before


def test_differences_are_those_of_the_values() -> None:
    assert differences({"a": 1, "b": {"c": [1, 2]}}, {"b": {"c": [1, 2]}, "a": 1}) == ""
    assert differences({"a": 1}, {"a": 1.5}) == "a 1 there, 1.5 wanted"
    assert differences({"b": {"c": 1}}, {"b": None}) == "b nothing there, null wanted, b.c 1 there, nothing wanted"


def test_a_manifest_of_another_layout(tmp_path: Path) -> None:
    """Equal values in other bytes: the finished archive would not be what one run writes."""
    part = begin(tmp_path / "faces", 2)
    (part / "manifest.json").write_text(json.dumps(MANIFEST))
    with pytest.raises(UserError, match="written by another version"):
        draw(tmp_path / "faces", resume=True)


@pytest.mark.parametrize("name", ALL)
def test_a_finished_archive_of_another_drawing_is_never_overwritten(tmp_path: Path, name: str) -> None:
    draw(tmp_path / name)
    before = content(tmp_path / name)
    with pytest.raises(
        UserError, match=rf"/{name}: exists already, and is of another drawing \(seed 7 there, 8 wanted\)"
    ):
        draw(tmp_path / name, {**MANIFEST, "seed": 8}, resume=True)
    assert content(tmp_path / name) == before
    assert names_in(tmp_path) == {name}


# Somebody else's files


@pytest.mark.parametrize("name", ALL)
def test_resuming_over_somebody_elses_files(tmp_path: Path, name: str) -> None:
    mine = tmp_path / name
    if name == "faces":
        mine.mkdir()
        (mine / "wedding.jpg").write_bytes(b"irreplaceable")
    else:
        mine.write_bytes(b"irreplaceable")
    before = content(mine)
    with pytest.raises(UserError, match=rf"/{name}: exists already, and is no archive of this program"):
        draw(mine, resume=True)
    assert content(mine) == before


@pytest.mark.parametrize("ways", [{}, {"resume": True}, {"force": True}], ids=str)
@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("what", ["other kind", "link", "link to nothing", "pipe", "text", "photos"])
def test_what_is_not_ours_under_the_hidden_name(tmp_path: Path, name: str, what: str, ways: dict[str, bool]) -> None:
    part = unfinished_path(tmp_path / name)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "wedding.jpg").write_bytes(b"irreplaceable")
    (mine / "diary").write_bytes(b"irreplaceable too")
    target = mine if name == "faces" else mine / "diary"
    if what == "link":
        part.symlink_to(target)
    elif what == "link to nothing":
        part.symlink_to(tmp_path / "unplugged")
    elif what == "pipe":
        os.mkfifo(part)
    elif (what == "photos") == (name == "faces"):
        shutil.copytree(mine, part) if name == "faces" else part.write_text("my own notes")
    elif name == "faces":
        part.write_text("my own notes")
    else:
        part.mkdir()
    before = content(part) if what not in ("pipe", "link to nothing") else None
    with pytest.raises(UserError, match=rf"{re.escape(str(part))}: is no unfinished archive of this program.*move"):
        draw(tmp_path / name, **ways)
    assert names_in(mine) == {"wedding.jpg", "diary"}
    assert (mine / "diary").read_bytes() == b"irreplaceable too"
    assert not (tmp_path / "unplugged").exists()
    assert before is None or content(part) == before


def test_links_inside_an_unfinished_folder_are_not_followed(tmp_path: Path) -> None:
    part = begin(tmp_path / "faces", 2)
    mine = tmp_path / "mine.png"
    mine.write_bytes(b"irreplaceable")
    (part / "000002.png").symlink_to(mine)
    for ways in ({"resume": True}, {"force": True}):
        with pytest.raises(UserError, match=r"holds 000002\.png"):
            draw(tmp_path / "faces", **ways)
    assert mine.read_bytes() == b"irreplaceable"


def test_a_link_that_appears_in_an_unfinished_folder_meanwhile(tmp_path: Path) -> None:
    mine = tmp_path / "mine.png"
    mine.write_bytes(b"irreplaceable")
    names = PictureNames(range(1))

    def write() -> None:
        with open_archive(tmp_path / "faces", manifest=MANIFEST, names=names, keep_unfinished=True) as archive:
            (unfinished_path(tmp_path / "faces") / "000000.png").symlink_to(mine)
            archive.write("000000.png", PICTURES[0])

    with pytest.raises(UserError, match="cannot be written"):
        write()
    assert mine.read_bytes() == b"irreplaceable"


def test_a_picture_that_was_added_does_not_get_into_the_archive(tmp_path: Path, uninterrupted: Path) -> None:
    part = begin(tmp_path / "faces", 2)
    (part / "000099.png").write_bytes(PICTURES[0])
    with pytest.raises(UserError, match=r"holds 6 files, not the 5 of the archive.*kept in .*\.faces\.part.*--resume"):
        draw(tmp_path / "faces", resume=True)
    (part / "000099.png").unlink()
    assert draw(tmp_path / "faces", resume=True) == N
    assert content(tmp_path / "faces") == content(uninterrupted / "faces")
