"""Pictures through Hugging Face `datasets`, from local folders and files: the network is never asked."""

from __future__ import annotations

import io
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from genface.errors import BrokenImageError, UserError
from genface.photos import Preparation, prepare_many
from genface.sources import open_source

datasets = pytest.importorskip("datasets", reason="the extra hf is not installed")
huggingface_hub = pytest.importorskip("huggingface_hub")

pytestmark = [
    # Of the libraries behind, not of what is tested here.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What HF_HUB_OFFLINE=1 sets; it is read when the libraries are imported.
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf-cache")


def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture
def imagefolder(tmp_path: Path) -> Path:
    folder = tmp_path / "faces"
    for split, count in (("train", 5), ("test", 3)):
        (folder / split).mkdir(parents=True)
        for index in range(count):
            (folder / split / f"{index}.png").write_bytes(picture(index))
    return folder


def save_parquet(path: Path, columns: dict[str, Any], features: Any = None) -> Path:
    datasets.Dataset.from_dict(columns, features=features).to_parquet(str(path))
    return path


def test_a_local_imagefolder(imagefolder: Path) -> None:
    with open_source(f"hf:{imagefolder}") as source:
        assert source.names == [f"{row:08d}" for row in range(5)]
        assert [source.read(name) for name in source.names] == [picture(index) for index in range(5)]
        assert str(source) == f"hf:{imagefolder}"
        assert source.manifest is None
        assert source.stamp(source.names[0]) is None
    with open_source(f"hf:{imagefolder}@test") as source:
        assert len(source) == 3


def test_a_local_imagefolder_is_prepared_like_a_folder(imagefolder: Path) -> None:
    with open_source(f"hf:{imagefolder}") as hub, open_source(imagefolder / "train") as folder:
        for a, b in zip(prepare_many(hub, Preparation(size=8)), prepare_many(folder, Preparation(size=8)), strict=True):
            assert a.pixels is not None
            assert b.pixels is not None
            np.testing.assert_array_equal(a.pixels, b.pixels)


@pytest.mark.parametrize("form", ["typed", "bytes", "struct"])
def test_a_local_parquet_set(tmp_path: Path, form: str) -> None:
    pictures = [picture(index) for index in range(4)]
    structs = [{"bytes": data, "path": None} for data in pictures]
    columns = {"who": list("abcd"), "photo": pictures if form == "bytes" else structs}
    kinds = {"who": datasets.Value("string"), "photo": datasets.Image()}
    path = save_parquet(tmp_path / "set.parquet", columns, datasets.Features(kinds) if form == "typed" else None)
    with open_source(f"hf:{path}") as source, ThreadPoolExecutor(4) as pool:
        assert list(pool.map(source.read, source.names * 10)) == pictures * 10


def test_an_unknown_split_names_those_there_are(imagefolder: Path) -> None:
    with pytest.raises(UserError, match=r"no split 'valid'; write one of hf:.*@test.*hf:.*@train|@train.*@test"):
        open_source(f"hf:{imagefolder}@valid")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"who": ["a"], "age": [3]}, r"no column of pictures \(only who, age\)"),
        ({"left": [b"a"], "right": [b"b"]}, r"several columns of pictures \(left, right\)"),
    ],
)
def test_without_the_one_column_of_pictures(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    path = save_parquet(tmp_path / "set.parquet", columns)
    with pytest.raises(UserError, match=rf"set\.parquet: has {message}"):
        open_source(f"hf:{path}")


def test_rows_without_a_picture_are_broken(tmp_path: Path) -> None:
    structs = [{"bytes": picture(0), "path": None}, {"bytes": None, "path": str(tmp_path / "gone.png")}, None]
    path = save_parquet(tmp_path / "set.parquet", {"image": structs})
    with open_source(f"hf:{path}") as source:
        assert source.read("00000000") == picture(0)
        for name in ("00000001", "00000002"):
            with pytest.raises(BrokenImageError, match=rf"^{name}: "):
                source.read(name)


def test_what_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^hf:nobody/nothing: cannot be loaded .*local folder"):
        open_source("hf:nobody/nothing")
    with pytest.raises(UserError, match=r"^hf:.*gone\.parquet: no such file"):
        open_source(f"hf:{tmp_path / 'gone.parquet'}")
    (tmp_path / "bad.parquet").write_bytes(b"text")
    with pytest.raises(UserError, match=r"bad\.parquet: cannot be loaded"):
        open_source(f"hf:{tmp_path / 'bad.parquet'}")


def test_without_datasets_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match="extra hf"):
        open_source("hf:faces")
