from __future__ import annotations

import io
import os
import runpy
import struct
import tempfile
import types
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genface import sources, tar_source
from genface.errors import BrokenImageError, UserError
from genface.sources import is_picture_name, open_source

NAMES = ["a.png", "b.JPG", "c d.jpeg", "deep/er/e.webp", "gesicht ü 顔.png", "z/two.. dots.png"]
IGNORED = [".hidden.png", "notes.txt", "__MACOSX/a.png", ".cache/a.png", "noending", "plot.eps", "film.mp4"]

Fill = Callable[[Path, dict[str, bytes]], Path]

filled = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("fill_sources.py"))))
picture, fill_folder, fill_zip, fill_tar, fill_tgz = (
    filled.picture, filled.fill_folder, filled.fill_zip, filled.fill_tar, filled.fill_tgz
)  # fmt: skip


everywhere = pytest.mark.parametrize("fill", [fill_folder, fill_zip, fill_tar, fill_tgz])


@everywhere
def test_pictures_are_found_by_name_in_order(tmp_path: Path, fill: Fill) -> None:
    files = {name: picture(seed) for seed, name in enumerate(NAMES)}
    with open_source(fill(tmp_path / "src", {**dict.fromkeys(IGNORED, b"x"), **files})) as source:
        assert source.names == sorted(NAMES)
        assert len(source) == len(NAMES)
        assert {name: source.read(name) for name in source.names} == files
        assert source.manifest is None
        assert str(source) == str(source.path)


@everywhere
def test_threads_may_read_one_source(tmp_path: Path, fill: Fill) -> None:
    files = {f"{seed}.png": picture(seed) for seed in range(50)}
    with open_source(fill(tmp_path / "src", files)) as source, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(source.read, source.names * 5)) == [files[name] for name in source.names * 5]


@everywhere
@pytest.mark.parametrize("files", [{}, {"notes.txt": b"x"}])
def test_a_source_without_pictures(tmp_path: Path, fill: Fill, files: dict[str, bytes]) -> None:
    with pytest.raises(UserError, match=r"src.*: holds no pictures"):
        open_source(fill(tmp_path / "src", files))


@everywhere
def test_a_manifest_of_ours_is_read(tmp_path: Path, fill: Fill) -> None:
    files = {"a.png": picture(), "manifest.json": b'{"kind": "genface-archive", "n": 1}'}
    with open_source(fill(tmp_path / "src", files)) as source:
        assert source.manifest == {"kind": "genface-archive", "n": 1}


@everywhere
@pytest.mark.parametrize("manifest", [b"[1, 2]", b'{"name": "a web app"}'])
def test_a_strangers_manifest_is_left_alone(tmp_path: Path, fill: Fill, manifest: bytes) -> None:
    with open_source(fill(tmp_path / "src", {"a.png": picture(), "manifest.json": manifest})) as source:
        assert source.manifest is None


@everywhere
@pytest.mark.parametrize(
    "manifest",
    [
        b"{",
        b"",
        b"\xff\xfe",
        b"[" * 200_000,
        *(b'{"kind": "a", "n": %s}' % n for n in (b"NaN", b"-Infinity", b"1e999")),
    ],
)
def test_a_damaged_manifest_is_an_error(tmp_path: Path, fill: Fill, manifest: bytes) -> None:
    with pytest.raises(UserError, match=r"manifest\.json is not valid JSON"):
        open_source(fill(tmp_path / "src", {"a.png": picture(), "manifest.json": manifest}))


@everywhere
def test_what_is_too_large_is_broken_not_read(tmp_path: Path, fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_FILE_BYTES", 1 << 20)
    monkeypatch.setattr(tar_source, "MAX_FILE_BYTES", 1 << 20)
    bomb = bytes(2 << 20)  # 2 kB in the .zip
    with (
        open_source(fill(tmp_path / "src", {"bomb.png": bomb})) as source,
        pytest.raises(BrokenImageError, match=r"^bomb\.png: over 1 MiB"),
    ):
        source.read("bomb.png")


@everywhere
def test_a_manifest_that_is_too_large_is_an_error(tmp_path: Path, fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_FILE_BYTES", 1 << 20)
    with pytest.raises(UserError, match=r"src.*: its manifest\.json is over 1 MiB"):
        open_source(fill(tmp_path / "src", {"a.png": picture(), "manifest.json": b" " * (2 << 20)}))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_is_broken_not_waited_for(tmp_path: Path, linked: bool) -> None:
    folder = fill_folder(tmp_path / "src", {"a.png": picture()})
    pipe = tmp_path / "pipe" if linked else folder / "z.png"
    os.mkfifo(pipe)
    if linked:
        (folder / "z.png").symlink_to(pipe)
    with open_source(folder) as source, pytest.raises(BrokenImageError, match=r"^z\.png: not a regular file"):
        source.read("z.png")
    with pytest.raises(UserError, match="neither a folder nor a regular file"):
        open_source(pipe)


def test_links_are_followed_once(tmp_path: Path) -> None:
    folder = fill_folder(tmp_path / "src", {"real/a.png": picture(), "b.png": picture()})
    outside = fill_folder(tmp_path / "outside", {"c.png": picture()})
    (folder / "real" / "loop").symlink_to(folder)
    (folder / "zweit").symlink_to(folder / "real")
    (folder / "linked").symlink_to(outside)
    (folder / "d.png").symlink_to(outside / "c.png")
    with open_source(folder) as source:
        assert source.names == ["b.png", "d.png", "linked/c.png", "real/a.png"]
        assert source.read("d.png") == picture()


def test_a_link_to_nothing_is_broken(tmp_path: Path) -> None:
    folder = fill_folder(tmp_path / "src", {"a.png": picture()})
    (folder / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with open_source(folder) as source:
        assert source.names == ["a.png", "gone.png"]
        with pytest.raises(BrokenImageError, match="No such file"):
            source.read("gone.png")


def test_a_folder_that_is_called_like_a_picture(tmp_path: Path) -> None:
    folder = fill_folder(tmp_path / "src", {"album.png/a.png": picture()})
    with open_source(folder) as source:
        assert source.names == ["album.png/a.png"]


def test_a_subfolder_that_cannot_be_listed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill_folder(tmp_path / "src", {"a.png": picture(), "secret/b.png": picture()})
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=r"secret.*Permission denied"):
        open_source(folder)


def test_paths_that_are_no_source(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        open_source(tmp_path / "nowhere")
    photo = tmp_path / "photo.png"
    photo.write_bytes(picture())
    with pytest.raises(UserError, match=r"neither a folder nor a readable \.zip"):
        open_source(photo)


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-30], lambda data: data[:10], lambda data: b"", lambda data: b"PK"]
)
def test_a_zip_without_its_end(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = fill_zip(tmp_path / "src", {"a.png": picture()})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"src\.zip: .*readable \.zip"):
        open_source(path)


def test_a_zip_with_a_damaged_directory(tmp_path: Path) -> None:
    path = fill_zip(tmp_path / "src", {"a.png": picture()})
    data = path.read_bytes()
    path.write_bytes(data.replace(b"PK\x01\x02", b"PK\x09\x09"))
    with pytest.raises(UserError, match=r"src\.zip: .*readable \.zip"):
        open_source(path)


@pytest.mark.parametrize("error", [OSError(22, "Invalid argument"), ValueError("negative seek"), struct.error("short")])
def test_whatever_a_damaged_zip_leads_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    path = fill_zip(tmp_path / "src", {"a.png": picture(), "manifest.json": b"{}"})
    opened: list[zipfile.ZipFile] = []

    def fail(archive: zipfile.ZipFile, _name: str) -> bytes:
        opened.append(archive)
        raise error

    monkeypatch.setattr(zipfile.ZipFile, "read", fail)
    with pytest.raises(UserError, match=r"src\.zip: .*readable \.zip"):
        open_source(path)
    assert opened[0].fp is None  # closed


def test_a_zip_of_several_disks(tmp_path: Path) -> None:
    path = fill_zip(tmp_path / "src", {"a.png": picture()})
    data = path.read_bytes()
    # A locator of the ZIP64 record, before the end record, that counts two disks.
    path.write_bytes(data[:-22] + struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 2) + data[-22:])
    with pytest.raises(UserError, match=r"src\.zip: .*readable \.zip"):
        open_source(path)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_fuzzed_zip_is_read_or_refused(data: st.DataObject) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("manifest.json", b'{"kind": "a"}')
        archive.writestr("a.png", b"pixels")
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "src.zip")
        path.write_bytes(content)
        with suppress(UserError), open_source(path) as source:
            for name in source.names:
                source.read(name)


def test_a_zip_with_a_damaged_manifest(tmp_path: Path) -> None:
    path = fill_zip(tmp_path / "src", {"a.png": picture(), "manifest.json": b'{"kind": "genface-archive"}' * 9})
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("manifest.json").header_offset + 30 + len("manifest.json")
    data = bytearray(path.read_bytes())
    data[start : start + 12] = b"\xff" * 12
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"src\.zip: .*readable \.zip"):
        open_source(path)


def test_a_zip_with_a_damaged_picture(tmp_path: Path) -> None:
    path = fill_zip(tmp_path / "src", {"a.png": picture(), "b.png": picture()})
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("a.png").header_offset + 30 + len("a.png")
    data = bytearray(path.read_bytes())
    data[start + 20 : start + 40] = bytes(20)
    path.write_bytes(data)
    with open_source(path) as source:
        assert source.read("b.png") == picture()
        with pytest.raises(BrokenImageError, match=r"^a\.png: cannot be unpacked"):
            source.read("a.png")


def test_an_encrypted_zip(tmp_path: Path) -> None:
    path = fill_zip(tmp_path / "src", {"a.png": picture()})
    data = bytearray(path.read_bytes())
    # Bit 0 of the general purpose flags, in the local header of the picture and in its directory entry.
    local, central = data.index(b"PK\x03\x04", 4), data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    data[local + 6] |= 1
    data[central + 8] |= 1
    path.write_bytes(data)
    with open_source(path) as source, pytest.raises(BrokenImageError, match=r"a\.png: .*encrypted"):
        source.read("a.png")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("A.PNG", True), ("a.jpg.txt", False), ("a.tiff", True), (".a.png", False), ("a/.b/c.png", False), ("png", False)],
)
def test_is_picture_name(name: str, expected: bool) -> None:
    assert is_picture_name(name) is expected


def test_a_stamp_changes_with_the_file(tmp_path: Path) -> None:
    for fill in (fill_folder, fill_zip, fill_tar):
        path = fill(tmp_path / "src", {"a.png": picture()})
        with open_source(path) as source:
            before = source.stamp("a.png")
        with open_source(path) as source:
            assert source.stamp("a.png") == before
        os.utime(path / "a.png" if path.is_dir() else path, ns=(1, 1))
        with open_source(path) as source:
            assert source.stamp("a.png") != before
