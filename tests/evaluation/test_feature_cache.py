"""The feature cache on the disk: killed runs, two at once, damage, its limit, its list."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from numpy.typing import NDArray

from evalface import cli_cache
from evalface.cache_upkeep import clear_cache, limit_bytes, list_cache, trim
from evalface.extractors.base import Extractor
from evalface.feature_cache import BLOCK, Block, Book
from evalface.features import SideFeatures, side_features
from evalface.images import PictureFiles, Side
from genface.commands import new_app, run_app
from genface.errors import UserError
from genface.photos import Preparation
from genface.sources import open_source

Maker = Callable[..., Path]

HANGS_AFTER = 2 * BLOCK
TURNS = 30


class Means(Extractor):
    """Mean colour; counts the pictures it was shown."""

    name = "means"
    title = "mean colour"
    version = 1
    protocol = "none"
    weights_sha256 = "0" * 64

    def __init__(self) -> None:
        self.seen = 0

    def features(self, block: NDArray[np.uint8]) -> NDArray[Any]:
        self.seen += len(block)
        means: NDArray[np.float32] = block.mean(axis=(1, 2), dtype=np.float32)
        return means


def run(folder: Path, extractor: Extractor) -> SideFeatures:
    with open_source(folder) as source:
        side = Side(source=PictureFiles(source), size=8, preparation=None)
        return side_features(side, [extractor], "fail", "test", show_progress=False)


# A run in a process of its own that hangs after some pictures.
HANGING = f"""
import runpy, sys, time
from pathlib import Path
names = runpy.run_path({str(Path(__file__))!r})
class Hanging(names["Means"]):
    def features(self, block):
        if self.seen >= {HANGS_AFTER}:
            print("hangs", flush=True)
            time.sleep(600)
        return super().features(block)
names["run"](Path(sys.argv[1]), Hanging())
"""

# Writes and reads the same blocks as its twin; one of the two clears the cache now and then. Row i of block b is b + i.
TWIN = """
import sys
import numpy as np
from evalface.cache_upkeep import clear_cache, trim
from evalface.feature_cache import Block, Book
book, read = Book({"twins": 1}), 0
blocks = {b: [f"{b:032x}{i:032x}" for i in range(20)] for b in range(8)}
for turn in range(int(sys.argv[2])):
    for b, digests in blocks.items():
        values = np.repeat(np.arange(b, b + 20, dtype=np.float32)[:, None], 500, axis=1)
        book.write(Block(digests=digests, values=values, broken={}))
    if sys.argv[1] == "clearing" and turn % 4 == 0:
        clear_cache()
    if sys.argv[1] == "clearing" and turn % 4 == 2:
        trim(100_000)
    for block in book.read({digest for digests in blocks.values() for digest in digests}):
        for digest, row in zip(block.digests, block.values, strict=True):
            assert (row == int(digest[:32], 16) + int(digest[32:], 16)).all()
            read += 1
print(read)
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments), str(TURNS)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_killed_run_is_taken_up(make_folder: Maker, noise_faces: Callable[..., np.ndarray]) -> None:
    n = HANGS_AFTER + 100
    folder = make_folder("a", n=n, size=8)
    with start(HANGING, folder) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "hangs\n"
        os.kill(child.pid, signal.SIGKILL)
    means = Means()
    found = run(folder, means)
    assert means.seen == 100
    expected = noise_faces(n, 8, 8).mean(axis=(1, 2), dtype=np.float32)
    assert np.array_equal(found.values["means"], expected)
    again = run(folder, means)
    assert again.from_cache
    assert np.array_equal(again.values["means"], found.values["means"])


def test_an_error_costs_nothing_that_was_computed(make_folder: Maker) -> None:
    class Failing(Means):
        def features(self, block: NDArray[np.uint8]) -> NDArray[Any]:
            if self.seen:
                raise KeyboardInterrupt
            return super().features(block)

    folder, failing, means = make_folder("a", n=200, size=8), Failing(), Means()
    with pytest.raises(KeyboardInterrupt):
        run(folder, failing)
    assert failing.seen == 128
    run(folder, means)
    assert means.seen == 72


@pytest.mark.parametrize("other", ["writing", "clearing"])
def test_two_at_once(other: str, own_cache: Path) -> None:
    with start(TWIN, "writing") as one, start(TWIN, other) as two:
        read = [int(child.communicate()[0]) for child in (one, two)]
        assert (one.returncode, two.returncode) == (0, 0)
    if other == "writing":
        assert read == [TURNS * 160] * 2  # at no time is a block missing that was there
    assert min(read) > 0
    assert not list(own_cache.rglob("*.part"))


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "no archive", "an array", "rows lost"])
def test_a_damaged_block_is_computed_again(damage: str, make_folder: Maker, own_cache: Path) -> None:
    folder, means = make_folder("a", size=8), Means()
    first = run(folder, means)
    (file,) = own_cache.glob("features/*/*.npz")
    data = bytearray(file.read_bytes())
    if damage == "rows lost":
        with np.load(file) as arrays:
            kept = dict(arrays)
        np.savez(file, **kept | {"values": kept["values"][1:]})
    elif damage == "an array":
        with file.open("wb") as out:
            np.save(out, first.values["means"])
    else:
        value = first.values["means"].tobytes()
        data[data.index(value) + 5] ^= 1
        kinds: dict[str, bytes | bytearray] = {
            "cut": data[: len(data) // 2],
            "changed": data,
            "empty": b"",
            "no archive": b"x" * 100,
        }
        file.write_bytes(kinds[damage])
    again = run(folder, means)
    assert means.seen == 16
    assert np.array_equal(first.values["means"], again.values["means"])
    assert run(folder, means).from_cache


def book(number: int, own_cache: Path) -> tuple[Book, Path]:
    """A book with one block of about 40 kB, last used `number` seconds after the epoch."""
    made = Book({"number": number})
    rng = np.random.default_rng(number)
    digests = [rng.bytes(32).hex() for _ in range(10)]
    made.write(Block(digests=digests, values=rng.normal(size=(10, 1000)).astype(np.float32), broken={}))
    (file,) = made.folder.glob("*.npz")
    os.utime(file, (number, number))
    return made, file


def test_what_was_used_longest_ago_goes_first(own_cache: Path) -> None:
    files = [book(number, own_cache)[1] for number in (1, 2, 3, 4)]
    with np.load(files[0]) as arrays:
        digest = arrays["digests"][3].tobytes().hex()
    (block,) = Book({"number": 1}).read({digest})  # used now
    assert digest in block.digests
    size = max(file.stat().st_size for file in files)
    trim(5 * size)
    assert all(file.exists() for file in files)
    trim(2 * size)
    assert [file.exists() for file in files] == [True, False, False, True]
    trim(0)
    assert not any(file.exists() for file in files)


def test_the_limit_holds_after_a_run(make_folder: Maker, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, old = book(1, own_cache)
    monkeypatch.setenv("EVALFACE_CACHE_GIB", str(old.stat().st_size / 2**30))
    folder, means = make_folder("a", size=8), Means()
    run(folder, means)
    assert not old.exists()
    assert run(folder, means).from_cache


@pytest.mark.parametrize(("text", "expected"), [("", 5 << 30), ("0.5", 1 << 29), ("0", 0)])
def test_the_limit_is_read_from_the_environment(text: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALFACE_CACHE_GIB", text)
    assert limit_bytes() == expected


@pytest.mark.parametrize("text", ["much", "-1", "nan", "inf"])
def test_a_limit_that_is_none_is_an_error(text: str, make_folder: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALFACE_CACHE_GIB", text)
    means = Means()
    with pytest.raises(UserError, match=f"EVALFACE_CACHE_GIB is '{text}'"):
        run(make_folder("a", size=8), means)
    assert means.seen == 0


def test_a_damaged_block_is_removed(own_cache: Path) -> None:
    made, file = book(1, own_cache)
    with np.load(file) as arrays:
        digest = arrays["digests"][0].tobytes().hex()
    file.write_bytes(file.read_bytes()[:-100])
    assert list(made.read({digest})) == []
    assert not file.exists()


def test_what_a_killed_run_left_half_written_goes_later(own_cache: Path) -> None:
    made, file = book(1, own_cache)
    parts = [made.folder / ".a.npz.x.part", made.folder / ".b.npz.y.part"]
    for part in parts:
        part.write_bytes(b"half")
    os.utime(parts[0], (1, 1))
    trim(1 << 30)
    assert [part.exists() for part in parts] == [False, True]
    assert file.exists()


def test_pictures_without_a_face_are_remembered(own_cache: Path) -> None:
    made = Book({"a": 1})
    made.write(Block(digests=[], values=np.empty((0, 0), np.float32), broken={"0" * 64: "no face found"}))
    (block,) = made.read({"0" * 64})
    assert block.broken == {"0" * 64: "no face found"}
    assert block.digests == []
    assert list(made.read({"1" * 64})) == []


def test_list_and_clear(make_folder: Maker, own_cache: Path) -> None:
    assert list_cache() == []
    assert clear_cache() == 0
    run(make_folder("a", size=8), Means())
    book(1, own_cache)
    strange = own_cache / "features" / "holiday.npz"
    strange.write_bytes(b"not ours")
    old = own_cache / "features" / f"{'0' * 64}.npy"
    old.write_bytes(b"of version 1")
    first, second = list_cache()
    assert (first.pictures, second.pictures) == (8, 10)
    assert first.facts["extractor"]["name"] == "means"
    assert first.facts["size"] == 8
    assert first.last_used > second.last_used == 1
    assert clear_cache() > first.bytes + second.bytes
    assert [path.name for path in own_cache.rglob("*")] == ["features", "holiday.npz"]
    assert list_cache() == []


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Run `cache` in an app that has one other command."""
    monkeypatch.setattr("signal.signal", lambda *_: None)
    app: typer.Typer = new_app("test")
    app.command("score")(lambda: None)
    cli_cache.register(app)

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as leave:
            run_app(app, "evalface", ["cache", *arguments])
        captured = capsys.readouterr()
        return int(leave.value.code or 0), captured.out, captured.err

    return call


def test_the_commands(make_folder: Maker, own_cache: Path, command: Callable[..., tuple[int, str, str]]) -> None:
    with open_source(make_folder("a", size=12)) as source:
        side = Side(source=PictureFiles(source), size=8, preparation=Preparation(size=8))
        side_features(side, [Means()], "fail", "test", show_progress=False)
    book(1, own_cache)
    code, out, _ = command("list")
    assert code == 0
    lines = out.splitlines()
    assert len(lines) == 3
    assert "8 pictures" in lines[0]
    assert "means float32, none; center crop to 8 px" in lines[0]
    assert "1970-01-01" in lines[1]
    assert "unknown" in lines[1]
    assert lines[2].endswith("of 5 GiB (EVALFACE_CACHE_GIB sets the limit)")
    code, out, _ = command("list", "--json")
    assert [entry["pictures"] for entry in json.loads(out)["books"]] == [8, 10]
    code, out, _ = command("clear")
    assert (code, out.count("MiB freed")) == (0, 1)
    assert not list(own_cache.rglob("*.npz"))
    assert command("burn")[0] == 2
