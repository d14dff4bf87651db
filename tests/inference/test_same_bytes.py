"""Image i depends on model, seed, truncation and i alone: the same archive however the work was cut, or cut short."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from genface.draw import DrawConfig, draw_archive, draw_one
from genface.encode import PictureFormat
from genface.latents import latents
from genface.merge import merge_archives
from genface.model import Generator
from genface.sources import open_source

N = 100


def draw(generator: Generator, out: Path, *, workers: int = 2, **config: object) -> Path:
    draw_archive(generator, DrawConfig(**{"n": N, "seed": 5, **config}), out, workers=workers)  # type: ignore[arg-type]
    return out


@pytest.fixture(scope="module")
def whole(generator: Generator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every other way has to give."""
    return draw(generator, tmp_path_factory.mktemp("whole") / "faces.zip", workers=1)


@pytest.mark.parametrize("batch", [1, 7, 64])
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_batches_and_threads(generator: Generator, whole: Path, tmp_path: Path, batch: int, workers: int) -> None:
    again = draw(generator, tmp_path / "faces.zip", batch=batch, workers=workers)
    assert again.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("count", [1, 3, 7])
def test_shards(generator: Generator, whole: Path, tmp_path: Path, count: int) -> None:
    endings = (".zip", ".tar", "")
    parts = [
        draw(generator, tmp_path / f"part{k}{endings[k % 3]}", shard=(k, count), batch=k) for k in range(1, count + 1)
    ]
    random.Random(0).shuffle(parts)
    assert merge_archives(parts, tmp_path / "faces.zip") == N
    assert (tmp_path / "faces.zip").read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("index", [0, 15, 16, 47, N - 1])
def test_one_image_again(generator: Generator, whole: Path, index: int) -> None:
    with open_source(whole) as source:
        assert draw_one(generator, DrawConfig(n=N, seed=5), index) == source.read(f"{index:06d}.png")


def test_latents_from_a_file_are_the_seeds(generator: Generator, whole: Path, tmp_path: Path) -> None:
    z = latents(5, range(N), generator.info.z_dim)
    given = draw(generator, tmp_path / "faces", seed=0, latents=z, mark=False, batch=7)
    unmarked = draw(generator, tmp_path / "unmarked", mark=False)
    with open_source(given) as ours, open_source(unmarked) as seeds:
        assert [ours.read(name) for name in ours.names] == [seeds.read(name) for name in seeds.names]
        assert ours.manifest is not None
        assert ours.manifest["seed"] is None
        assert len(ours.manifest["latents_sha256"]) == 64


# So many that seven runs do not finish them.
KINDS = [("faces.zip", "png", 30_000), ("faces.tar", "webp", 30_000), ("faces", "jpeg", 12_000)]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize(("name", "form", "n"), KINDS)
def test_killed_and_resumed(tiny: Path, generator: Generator, tmp_path: Path, name: str, form: str, n: int) -> None:
    """Seven kills each, at random moments after the start: 21 in all. Every run is a process of its own."""
    rng = random.Random(name)
    command = [sys.executable, "-m", "genface", "--model", str(tiny), "--n", str(n), "--out", str(tmp_path / name)]
    command += ["--seed", "5", "--format", form, "--threads", "1"]
    held = []
    for kill in range(7):
        child = subprocess.Popen(
            [*command, *(["--resume"] if kill else [])], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        part = tmp_path / f".{name}.part"
        # A process that is still starting draws nothing, and one that is killed then tells nothing.
        wait_for(lambda: pictures_bytes(part) > (held[-1] if held else 0), child)  # noqa: B023
        time.sleep(rng.uniform(0, 0.15))
        child.kill()
        _, stderr = child.communicate()
        assert child.returncode == -signal.SIGKILL, stderr
        assert not (tmp_path / name).exists()
        held.append(pictures_bytes(part))
    assert held == sorted(held), "something was drawn again"
    finished = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=True)
    assert "of them drawn now" in finished.stdout
    config = DrawConfig(n=n, seed=5, picture_format=PictureFormat(name=form))  # type: ignore[arg-type]
    draw_archive(generator, config, tmp_path / f"whole-{name}")
    assert same_content(tmp_path / name, tmp_path / f"whole-{name}")
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


def same_content(one: Path, other: Path) -> bool:
    if one.is_file():
        return one.read_bytes() == other.read_bytes()
    names = sorted(entry.name for entry in one.iterdir())
    return names == sorted(entry.name for entry in other.iterdir()) and all(
        (one / name).read_bytes() == (other / name).read_bytes() for name in names
    )


def pictures_bytes(part: Path) -> int:
    """What an unfinished archive holds, in bytes or files."""
    if part.is_dir():
        return sum(1 for _ in part.iterdir())
    return part.stat().st_size if part.exists() else 0


def wait_for(condition: Callable[[], bool], child: subprocess.Popen[str], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert child.poll() is None, f"ended early: {child.communicate()}"
        assert time.monotonic() < end, "nothing was drawn"
        time.sleep(0.005)
