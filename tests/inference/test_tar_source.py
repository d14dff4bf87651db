"""A .tar as a source: what is damaged, strange or hostile in it."""

from __future__ import annotations

import io
import runpy
import tarfile
import tempfile
import types
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genface import tar_source
from genface.errors import BrokenImageError, UserError
from genface.sources import open_source

Fill = Callable[[Path, dict[str, bytes]], Path]

filled = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("fill_sources.py"))))
picture, fill_tar, fill_tgz = filled.picture, filled.fill_tar, filled.fill_tgz


@pytest.mark.parametrize("cut", [1, 511, 512, 700, 1024 + 512 + 100, 1024 + 512 + 512])
def test_a_tar_that_ends_early_is_refused(tmp_path: Path, cut: int) -> None:
    """Within a picture, between two, within a header: none may be missing in silence."""
    path = fill_tar(tmp_path / "src", {"a.png": picture(0), "b.png": picture(1)})
    with tarfile.open(path) as archive:
        end = archive.getmembers()[-1].offset_data + 1024  # of the second picture, of 800 odd bytes
    path.write_bytes(path.read_bytes()[: end - cut])
    with pytest.raises(UserError, match=r"src\.tar: cannot be read as a \.tar"):
        open_source(path)


def test_a_tar_without_its_end_mark_is_refused(tmp_path: Path) -> None:
    path = fill_tar(tmp_path / "src", {"a.png": picture(0)})
    with tarfile.open(path) as archive:
        end = archive.getmembers()[-1].offset_data + 1024
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(UserError, match=r"cut off at byte"):
        open_source(path)


def test_a_damaged_header_does_not_end_a_tar(tmp_path: Path) -> None:
    path = fill_tar(tmp_path / "src", {"a.png": picture(0), "b.png": picture(1)})
    with tarfile.open(path) as archive:
        header = archive.getmembers()[-1].offset
    data = bytearray(path.read_bytes())
    data[header + 10] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"src\.tar: .*damaged"):
        open_source(path)


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: b"", lambda data: b"text" * 300])
@pytest.mark.parametrize("fill", [fill_tar, fill_tgz])
def test_what_is_no_tar_is_refused(tmp_path: Path, fill: Fill, damage: Callable[[bytes], bytes]) -> None:
    path = fill(tmp_path / "src", {"a.png": picture()})
    if fill is fill_tar and damage(b"x" * 100):
        path.write_bytes(damage(path.read_bytes()[:2000]))
    else:
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"src\.tar(\.gz)?: cannot be read as a \.tar"):
        open_source(path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_what_is_no_plain_file_in_a_tar_is_broken(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "src.tar"
    with tarfile.open(path, "w") as archive:
        for name, member_kind in (("a.png", tarfile.REGTYPE), ("b.png", kind)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = member_kind, "/etc/passwd"
            archive.addfile(entry)
    with open_source(path) as source:
        assert source.names == ["a.png", "b.png"]
        with pytest.raises(BrokenImageError, match=r"^b\.png: (a link to /etc/passwd inside|not a regular file)"):
            source.read("b.png")


def test_nothing_leaves_a_tar(tmp_path: Path) -> None:
    """Members are never written anywhere; those that climb out are hidden by their dots, as in a .zip."""
    path = tmp_path / "src.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("../up.png", "/abs.png", "x/../../y.png", "ok.png"):
            entry = tarfile.TarInfo(name)
            entry.size = 3
            archive.addfile(entry, io.BytesIO(b"abc"))
    before = sorted(tmp_path.rglob("*"))
    with open_source(path) as source:
        assert source.names == ["/abs.png", "ok.png"]
        assert source.read("/abs.png") == b"abc"
    assert sorted(tmp_path.rglob("*")) == before


def test_of_one_name_the_last_member_counts(tmp_path: Path) -> None:
    path = fill_tar(tmp_path / "src", {"a.png": picture(0)})
    with tarfile.open(path, "a") as archive:
        entry = tarfile.TarInfo("a.png")
        entry.size = 3
        archive.addfile(entry, io.BytesIO(b"new"))
    with open_source(path) as source:
        assert source.names == ["a.png"]
        assert source.read("a.png") == b"new"


def test_a_bomb_in_a_tgz_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar_source, "_MIN_UNPACKED_BYTES", 1 << 20)
    path = fill_tgz(tmp_path / "src", {"a.png": bytes(8 << 20)})
    with pytest.raises(UserError, match=r"more than 100 times its size \(a decompression bomb\)"):
        open_source(path)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_fuzzed_tar_is_read_or_refused(data: st.DataObject) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in (("manifest.json", b'{"kind": "a"}'), ("a.png", b"pixels")):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    content = bytearray(buffer.getvalue()[:4096])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "src.tar")
        path.write_bytes(content)
        with suppress(UserError), open_source(path) as source:
            for name in source.names:
                source.read(name)
