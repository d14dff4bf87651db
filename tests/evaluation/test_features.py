"""Features of a side: what was computed before is not computed again, anything else is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evalface.extractors.base import Extractor
from evalface.extractors.pixels import Pixels
from evalface.features import SideFeatures, side_features
from evalface.files import cache_folder
from evalface.images import PictureFiles, Side
from genface.errors import UserError
from genface.photos import OnBroken, Preparation
from genface.sources import open_source

Maker = Callable[..., Path]


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


def run(
    folder: Path, extractor: Extractor, on_broken: OnBroken = "fail", preparation: Preparation | None = None
) -> SideFeatures:
    with open_source(folder) as source:
        side = Side(source=PictureFiles(source), size=16, preparation=preparation)
        return side_features(side, [extractor, Pixels()], on_broken, "test", show_progress=False)


def test_second_time_comes_from_the_cache(make_folder: Maker) -> None:
    folder, means = make_folder("a"), Means()
    first, second = run(folder, means), run(folder, means)
    assert means.seen == 8
    assert (first.from_cache, second.from_cache) == (False, True)
    for name in ("means", "pixels"):
        assert np.array_equal(first.values[name], second.values[name])
        assert first.values[name].dtype == second.values[name].dtype


def test_only_what_is_new_is_computed(make_folder: Maker) -> None:
    folder, means = make_folder("a"), Means()
    run(folder, means)
    (folder / "000.png").touch()
    run(folder, means)
    run(make_folder("copy"), means)
    assert means.seen == 8
    (folder / "001.png").write_bytes((make_folder("other", n=1, seed=9) / "000.png").read_bytes())
    edited = run(folder, means)
    assert means.seen == 9
    assert not edited.from_cache
    (folder / "new.png").write_bytes((make_folder("third", n=1, seed=8) / "000.png").read_bytes())
    (folder / "005.png").unlink()
    grown = run(folder, means)
    assert means.seen == 10
    assert grown.names == [f"00{i}.png" for i in (0, 1, 2, 3, 4, 6, 7)] + ["new.png"]
    assert np.array_equal(grown.values["means"], grown.values["pixels"].reshape(8, -1, 3).mean(1, dtype=np.float32))


def test_copies_within_a_side_are_computed_once(make_folder: Maker) -> None:
    folder, means = make_folder("a"), Means()
    for name in ("002.png", "zz.png"):
        (folder / name).write_bytes((folder / "006.png").read_bytes())
    found = run(folder, means)
    assert means.seen == 7
    assert len(found.names) == 9
    for values in found.values.values():
        assert np.array_equal(values[2], values[6])
        assert np.array_equal(values[2], values[8])
    assert len(np.unique(found.values["means"], axis=0)) == 7


@pytest.mark.parametrize(("field", "value"), [("weights_sha256", "1" * 64), ("version", 2), ("protocol", "other")])
def test_another_extractor_misses(field: str, value: object, make_folder: Maker) -> None:
    folder, means, other = make_folder("a"), Means(), Means()
    run(folder, means)
    setattr(other, field, value)
    assert not run(folder, other).from_cache


def test_another_preparation_misses(make_folder: Maker) -> None:
    folder, means = make_folder("a"), Means()
    run(folder, means)
    assert not run(folder, means, preparation=Preparation(size=16)).from_cache


def test_another_decoding_misses(make_folder: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, means = make_folder("a"), Means()
    run(folder, means)
    monkeypatch.setattr("evalface.features.DECODING_VERSION", 0)
    assert not run(folder, means).from_cache


def test_raw_pixels_are_not_cached(make_folder: Maker, own_cache: Path) -> None:
    run(make_folder("a"), Means())
    assert len(list(own_cache.glob("features/*/*.npz"))) == 1


def test_without_a_home_the_cache_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("EVALFACE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(UserError, match="EVALFACE_CACHE"):
        cache_folder()


def test_a_cache_that_cannot_be_written_is_no_error(
    make_folder: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("EVALFACE_CACHE", str(tmp_path / "file"))
    assert len(run(make_folder("a"), Means()).names) == 8


def test_broken_pictures_follow_the_policy_from_the_cache_too(make_folder: Maker) -> None:
    folder, means = make_folder("a"), Means()
    (folder / "003.png").write_bytes(b"no picture")
    (folder / "005.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"2 of 8 pictures are broken: 003\.png: .*; 005\.png: "):
        run(folder, means)
    for from_cache in (False, True):
        found = run(folder, means, "skip")
        assert found.from_cache == from_cache
        assert found.names == [f"00{i}.png" for i in (0, 1, 2, 4, 6, 7)]
        assert found.indices.tolist() == [0, 1, 2, 4, 6, 7]
        assert len(found.values["means"]) == len(found.values["pixels"]) == 6
        assert [line.split(":")[0] for line in found.broken[:2]] == [
            "skipped broken picture 003.png",
            "skipped broken picture 005.png",
        ]
    with pytest.raises(UserError, match=r"003\.png"):
        run(folder, means)


@pytest.mark.parametrize("cached_first", [False, True])
def test_files_that_cannot_be_read_are_all_named(cached_first: bool, make_folder: Maker, tmp_path: Path) -> None:
    folder = make_folder("a")
    if cached_first:
        run(folder, Means())
    reasons = {"x.png": "No such file", "y.png": "Too many levels of symbolic links"}
    (folder / "x.png").symlink_to(tmp_path / "nowhere")
    (folder / "y.png").symlink_to(folder / "y.png")
    found = run(folder, Means(), "skip")
    assert len(found.names) == 8
    assert found.from_cache == cached_first
    for name, reason in reasons.items():
        assert any(f"skipped broken picture {name}: {reason}" in line for line in found.broken)


def test_what_went_wrong_once_may_go_right_later(make_folder: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that could not be decoded is tried again: a full memory is no property of the picture."""
    folder, means = make_folder("a"), Means()
    with monkeypatch.context() as patch:
        patch.setattr("genface.photos.ImageOps.exif_transpose", lambda image: (_ for _ in ()).throw(MemoryError()))
        with pytest.raises(UserError, match="all 8 pictures are broken"):
            run(folder, means, "skip")
    assert len(run(folder, means, "skip").names) == 8
