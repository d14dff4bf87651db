"""What stands in an archive, byte for byte, and what it costs to write."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from genface.archive import KIND, PictureNames, open_archive
from genface.containers import FolderSink, sink_type, stranger
from genface.sources import open_source
from genface.streams import TarSink, ZipSink
from genface.whole import is_whole

MANIFEST = b'{\n  "kind": "genface-archive",\n  "seed": 7\n}\n'
ALL = ["faces.zip", "faces.tar", "faces"]


def write(path: Path, pictures: list[bytes], names: PictureNames | None = None) -> None:
    names = names or PictureNames(range(len(pictures)))
    with open_archive(path, manifest={"seed": 7, "kind": KIND}, names=names) as archive:
        for index, data in enumerate(pictures):
            archive.write(names[index], data)


def test_a_zip_is_what_zipfile_writes(tmp_path: Path) -> None:
    write(tmp_path / "faces.zip", [b"one", b"", b"three" * 999])
    expected = io.BytesIO()
    with zipfile.ZipFile(expected, "w") as archive:
        for name, data in [
            ("manifest.json", MANIFEST),
            ("000000.png", b"one"),
            ("000001.png", b""),
            ("000002.png", b"three" * 999),
        ]:
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    assert (tmp_path / "faces.zip").read_bytes() == expected.getvalue()


def test_a_tar_is_what_tarfile_writes(tmp_path: Path) -> None:
    # 512 bytes need no padding; with the manifest they end inside a record of 10,240 bytes, which is filled up.
    pictures = [b"one", b"", bytes(512), b"four" * 5000]
    write(tmp_path / "faces.tar", pictures)
    expected = io.BytesIO()
    with tarfile.open(fileobj=expected, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in [
            ("manifest.json", MANIFEST),
            *((f"{index:06d}.png", data) for index, data in enumerate(pictures)),
        ]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    assert (tmp_path / "faces.tar").read_bytes() == expected.getvalue()


@pytest.mark.parametrize("rest", range(0, 20 * 512, 512))
def test_every_tar_ends_with_a_whole_record(tmp_path: Path, rest: int) -> None:
    write(tmp_path / "faces.tar", [bytes(rest)])
    size = (tmp_path / "faces.tar").stat().st_size
    assert size % tarfile.RECORDSIZE == 0
    with tarfile.open(tmp_path / "faces.tar") as archive:
        assert archive.getnames() == ["manifest.json", "000000.png"]
    assert (tmp_path / "faces.tar").read_bytes()[-1024:] == bytes(1024)


@pytest.mark.parametrize("name", ALL)
def test_every_form_is_read_as_a_source(tmp_path: Path, name: str) -> None:
    pictures = [b"one", b"two" * 500, b"three" * 5000]
    names = PictureNames(range(999_998, 1_000_001))
    write(tmp_path / name, pictures, names)
    with open_source(tmp_path / name) as source:
        assert source.manifest == {"kind": KIND, "seed": 7}
        assert sorted(source.names) == ["1000000.png", "999998.png", "999999.png"]
        assert [source.read(names[index]) for index in range(3)] == pictures


@pytest.mark.parametrize(
    ("name", "tool"), [("faces.zip", ["unzip", "-tq"]), ("faces.tar", ["tar", "-tf"])], ids=["unzip", "tar"]
)
def test_other_programs_read_it(tmp_path: Path, name: str, tool: list[str]) -> None:
    if shutil.which(tool[0]) is None:
        pytest.skip(f"{tool[0]} is not installed")
    write(tmp_path / name, [b"one", b"two"])
    subprocess.run([*tool, tmp_path / name], check=True, capture_output=True)


def test_more_pictures_than_a_plain_zip_can_count(tmp_path: Path) -> None:
    """65,535 is the most that the directory's 16 bits can state; zip64 has 64 of them."""
    n = 70_000
    path = tmp_path / "faces.zip"
    write(path, [b"%d" % index for index in range(n)])
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == n + 1
        assert [archive.read(f"{index:06d}.png") for index in (0, 65_534, 65_535, n - 1)] == [
            b"0",
            b"65534",
            b"65535",
            b"69999",
        ]
    assert b"PK\6\6" in path.read_bytes()[-200:]  # the directory's end in its zip64 form
    if shutil.which("unzip"):
        subprocess.run(["unzip", "-tq", path], check=True, capture_output=True)


def peak_bytes(path: Path, n: int) -> int:
    """The most memory that was held at a time while n small pictures were written."""
    names = PictureNames(range(n))
    tracemalloc.start()
    try:
        with open_archive(path, manifest={"kind": KIND}, names=names) as archive:
            for index in range(n):
                archive.write(names[index], b"")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("name", "most"), [("faces.zip", 512), ("faces.tar", 4), ("faces", 4)])
def test_memory_per_picture(tmp_path: Path, name: str, most: int) -> None:
    """Half a KiB for the directory of a .zip; flat for the others, where 4 bytes leave room for the allocator."""
    peak_bytes(tmp_path / f"warm-{name}", 10)  # imports and caches of the first time
    few, many = 1_000, 5_000
    small, large = peak_bytes(tmp_path / f"small-{name}", few), peak_bytes(tmp_path / f"large-{name}", many)
    assert (large - small) / (many - few) <= most


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.zip", ZipSink),
        ("a.ZIP", ZipSink),
        ("a.tar", TarSink),
        ("a.Tar", TarSink),
        ("a", FolderSink),
        ("a.b", FolderSink),
    ],
)
def test_the_ending_says_the_form(name: str, expected: type) -> None:
    assert sink_type(Path(name)) is expected


def test_strangers_in_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "faces", [b"one"])
    assert stranger(tmp_path / "faces") is None
    (tmp_path / "faces" / "z.txt").touch()
    (tmp_path / "faces" / "000009.png").symlink_to("z.txt")
    (tmp_path / "faces" / ".hidden").touch()
    assert stranger(tmp_path / "faces") == ".hidden"
    assert stranger(tmp_path / "faces", hidden=True) == "000009.png"


def encode(kind: str, **options: bool) -> bytes:
    picture = Image.effect_noise((16, 16), 60).convert("RGB")
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return data.getvalue()


@pytest.mark.parametrize(
    ("ending", "data"),
    [("png", encode("png")), ("jpg", encode("jpeg")), ("webp", encode("webp", lossless=True))],
    ids=["png", "jpg", "webp"],
)
def test_a_picture_is_whole_at_its_last_byte_only(ending: str, data: bytes) -> None:
    name = f"000000.{ending}"
    assert is_whole(name, data)
    assert not any(is_whole(name, data[:length]) for length in range(len(data)))
    assert not is_whole(name, data + b"\0")
    assert not is_whole("000000.bmp", data)


def test_no_byte_of_a_png_can_change_unseen() -> None:
    """Zeros after a power loss, for one."""
    data = encode("png")
    changed = [data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :] for at in range(len(data))]
    assert not any(is_whole("000000.png", other) for other in changed)
    assert not is_whole("000000.png", data[:60] + bytes(len(data) - 60))
