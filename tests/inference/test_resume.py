"""What was stopped and is taken up again becomes what one run would have written."""

from __future__ import annotations

import runpy
import shutil
import types
from pathlib import Path

import pytest

from genface.archive import PREPARED_KIND, PictureNames, check_free, open_archive, unfinished_path
from genface.errors import UserError

stopped = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("stopped_archives.py"))))
ALL, MANIFEST, N = stopped.ALL, stopped.MANIFEST, stopped.N
begin, content, draw, names_in = stopped.begin, stopped.content, stopped.draw, stopped.names_in
pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


@pytest.mark.parametrize("stop", range(1, N))
@pytest.mark.parametrize("name", ALL)
def test_stopped_and_finished(tmp_path: Path, uninterrupted: Path, name: str, stop: int) -> None:
    path = tmp_path / name
    part = begin(path, stop)
    assert part == tmp_path / f".{name}.part"
    assert names_in(tmp_path) == {part.name, "uninterrupted"}
    assert draw(path, resume=True) == stop
    assert content(path) == content(uninterrupted / name)
    assert names_in(tmp_path) == {name, "uninterrupted"}


@pytest.mark.parametrize("name", ALL)
def test_stopped_again_and_again(tmp_path: Path, uninterrupted: Path, name: str) -> None:
    path = tmp_path / name
    begin(path, 1)
    for stop in range(2, N):
        begin(path, stop, resume=True)
    assert draw(path, resume=True) == N - 1
    assert content(path) == content(uninterrupted / name)


@pytest.mark.parametrize("name", ALL)
def test_stopped_before_the_first_picture_leaves_nothing(tmp_path: Path, name: str) -> None:
    """There is nothing to go on from, so the next run is not bothered with it."""
    begin(tmp_path / name, 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ALL)
def test_nothing_to_resume_is_a_new_archive(tmp_path: Path, uninterrupted: Path, name: str) -> None:
    assert draw(tmp_path / name, resume=True) == 0
    assert content(tmp_path / name) == content(uninterrupted / name)


@pytest.mark.parametrize("name", ALL)
def test_what_cannot_be_kept_is_not(tmp_path: Path, name: str) -> None:
    begin(tmp_path / name, 2, keep_unfinished=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ALL)
def test_other_archives_leave_the_unfinished_one_alone(tmp_path: Path, uninterrupted: Path, name: str) -> None:
    """A merge or a prepared set under the same name does not cost anybody the hours that were drawn."""
    part = begin(tmp_path / name, 2)
    before = content(part)
    draw(tmp_path / name, {"kind": PREPARED_KIND}, keep_unfinished=False)
    assert content(part) == before


def test_an_unfinished_folder_lies_beside_the_folder_itself_not_beside_a_link_to_it(
    tmp_path: Path, uninterrupted: Path
) -> None:
    """A rename must stay on one disk."""
    disk = tmp_path / "disk"
    (disk / "faces").mkdir(parents=True)
    (tmp_path / "link").symlink_to(disk / "faces")
    assert begin(tmp_path / "link", 2) == disk / ".faces.part"
    assert draw(tmp_path / "link", resume=True) == 2
    assert content(disk / "faces") == content(uninterrupted / "faces")


# With --force


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("name", ALL)
def test_force_starts_anew(tmp_path: Path, name: str, resume: bool) -> None:
    """Also in place of another drawing that cannot be resumed."""
    begin(tmp_path / name, 3)
    other = {**MANIFEST, "seed": 8}
    draw(tmp_path / f"other-{name}", other, n=2)
    assert draw(tmp_path / name, other, n=2, force=True, resume=resume) == 0
    assert content(tmp_path / name) == content(tmp_path / f"other-{name}")


@pytest.mark.parametrize("name", ALL)
def test_the_old_archive_stays_until_the_new_one_is_finished(tmp_path: Path, uninterrupted: Path, name: str) -> None:
    other = {**MANIFEST, "seed": 8}
    draw(tmp_path / name, other)
    old = content(tmp_path / name)
    begin(tmp_path / name, 2, force=True)
    assert content(tmp_path / name) == old
    with pytest.raises(UserError, match=r"exists already, and is of another drawing \(seed 8 there, 7 wanted\)"):
        draw(tmp_path / name, resume=True)
    assert draw(tmp_path / name, resume=True, force=True) == 2
    assert content(tmp_path / name) == content(uninterrupted / name)


# Drawn to the last picture


@pytest.mark.parametrize("name", ALL)
def test_a_finished_archive_is_complete(tmp_path: Path, name: str) -> None:
    draw(tmp_path / name)
    before, status = content(tmp_path / name), (tmp_path / name).stat()
    check_free(tmp_path / name, force=False, resume=True)
    for force in (False, True):
        ways = {"resume": True, "force": force, "keep_unfinished": True}
        with open_archive(tmp_path / name, manifest=MANIFEST, names=PictureNames(range(N)), **ways) as archive:
            assert archive.complete
            assert archive.recovered == N
    assert content(tmp_path / name) == before
    assert (tmp_path / name).stat() == status
    assert names_in(tmp_path) == {name}


@pytest.mark.parametrize("name", ALL)
def test_all_drawn_but_not_finished_is_not_complete(tmp_path: Path, uninterrupted: Path, name: str) -> None:
    """Killed in the directory of a .zip, or before the rename: there is nothing to draw, yet something to do."""
    begin(tmp_path / name, N - 1)
    (uninterrupted / name).rename(tmp_path / "whole")
    part = unfinished_path(tmp_path / name)
    if part.is_dir():
        shutil.rmtree(part)
        shutil.copytree(tmp_path / "whole", part)
    else:
        part.write_bytes((tmp_path / "whole").read_bytes()[:-5])
    with open_archive(
        tmp_path / name, manifest=MANIFEST, names=PictureNames(range(N)), resume=True, keep_unfinished=True
    ) as archive:
        assert (archive.complete, archive.recovered) == (False, N)
    assert content(tmp_path / name) == content(tmp_path / "whole")
