"""The feature cache: same bytes and settings hit, anything else misses, damage is computed again."""

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
from evalface.images import Side, survey
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
        return block.mean(axis=(1, 2), dtype=np.float32)


def run(
    folder: Path, extractor: Extractor, on_broken: OnBroken = "fail", preparation: Preparation | None = None
) -> SideFeatures:
    with open_source(folder) as source:
        side = Side(source=source, survey=survey(source), size=16, preparation=preparation)
        return side_features(side, [extractor, Pixels()], on_broken, "test", show_progress=False)


def test_second_time_comes_from_the_cache(make_folder: Maker) -> None:
    folder, means = make_folder("a"), Means()
    first, second = run(folder, means), run(folder, means)
    assert means.seen == 8
    assert (first.from_cache, second.from_cache) == (False, True)
    for name in ("means", "pixels"):
        assert np.array_equal(first.values[name], second.values[name])
        assert first.values[name].dtype == second.values[name].dtype


def test_touch_and_copy_hit_but_edit_and_add_miss(make_folder: Maker) -> None:
    folder, means = make_folder("a"), Means()
    run(folder, means)
    (folder / "000.png").touch()
    run(folder, means)
    run(make_folder("copy"), means)
    assert means.seen == 8
    (folder / "001.png").write_bytes((folder / "000.png").read_bytes())
    edited = run(folder, means)
    assert means.seen == 16
    assert np.array_equal(edited.values["means"][0], edited.values["means"][1])
    (folder / "new.png").write_bytes((folder / "000.png").read_bytes())
    assert len(run(folder, means).names) == 9
    assert means.seen == 25


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


@pytest.mark.parametrize(
    "damage", ["cut array", "changed array", "array like a zip", "cut description", "no description"]
)
def test_a_damaged_entry_is_computed_again(damage: str, make_folder: Maker, own_cache: Path) -> None:
    folder, means = make_folder("a"), Means()
    first = run(folder, means)
    for file in (own_cache / "features").glob("*.npy" if "array" in damage else "*.json"):
        if damage == "no description":
            file.unlink()
        elif damage == "array like a zip":
            file.write_bytes(b"PK\3\4" + file.read_bytes()[4:])
        elif damage == "changed array":
            file.write_bytes(file.read_bytes()[:-1] + b"\x01")
        else:
            file.write_bytes(file.read_bytes()[:40])
    again = run(folder, means)
    assert not again.from_cache
    assert np.array_equal(first.values["means"], again.values["means"])
    assert run(folder, means).from_cache


def test_another_decoding_misses(make_folder: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, means = make_folder("a"), Means()
    run(folder, means)
    monkeypatch.setattr("evalface.features.DECODING_VERSION", 0)
    assert not run(folder, means).from_cache


def test_raw_pixels_are_not_cached(make_folder: Maker, own_cache: Path) -> None:
    run(make_folder("a"), Means())
    assert len(list(own_cache.glob("features/*.npy"))) == 1


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


def test_broken_pictures_follow_the_policy_from_the_cache_too(make_folder: Maker, own_cache: Path) -> None:
    folder, means = make_folder("a"), Means()
    (folder / "003.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"003\.png"):
        run(folder, means)
    assert not list(own_cache.glob("features/*"))
    for from_cache in (False, True):
        found = run(folder, means, "skip")
        assert found.from_cache == from_cache
        assert "003.png" not in found.names
        assert len(found.names) == len(found.values["means"]) == 7
        assert found.broken[0].startswith("skipped broken picture 003.png: ")
    with pytest.raises(UserError, match=r"003\.png"):
        run(folder, means)
