"""Augmented copies in the cache: reproducible, followed by their photos, never held out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genface.errors import UserError
from genface.photos import Preparation, prepare_many
from genface.sources import open_source
from trainface.data.dataset import open_faces, split_holdout, write_prepared
from trainface.data.offline_augment import OfflineAugment, with_copies

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # its import would ask the network
A = pytest.importorskip("albumentations", reason="the extra augment is not installed")

P16 = Preparation(size=16)


@pytest.fixture
def pipeline(tmp_path: Path) -> Callable[..., Path]:
    """Save a pipeline; by default one whose every kind of randomness shows."""

    def save(*transforms: Any, name: str = "pipeline.json") -> Path:
        chosen = transforms or (
            A.HorizontalFlip(p=0.5),
            A.OneOf([A.RandomBrightnessContrast(p=1), A.Affine(rotate=(-20, 20), p=1)], p=1),
            A.GaussNoise(p=1),
        )
        A.save(A.Compose(list(chosen)), tmp_path / name, data_format="yaml" if name.endswith("yaml") else "json")
        return tmp_path / name

    return save


def test_copies_follow_their_photos(photos: Path, pipeline: Callable[..., Path]) -> None:
    plain = open_faces(str(photos), P16)
    more = open_faces(str(photos), P16, offline_augment=pipeline(), augment_copies=2)
    assert len(more) == 3 * len(plain) == 72
    assert more.images.shape == (72, 16, 16, 3)
    np.testing.assert_array_equal(more.images[::3], plain.images)
    assert more.names[:4] == ["00000/00000.png", "00000/00000.png+1", "00000/00000.png+2", "00001.png"]
    assert more.digests[::3] == plain.digests
    assert more.digests[1] == f"{plain.digests[0]}+1"
    assert len({image.tobytes() for image in more.images}) == 72  # no copy equals its photo or another copy
    assert more.key != plain.key
    assert more.augment is not None
    assert (more.augment["file"], more.augment["copies"]) == ("pipeline.json", 2)
    assert more.notes[-1].startswith("2 augmented copies of each of 24 photos by pipeline.json (SHA-256 ")


def test_the_hold_out_holds_photos_alone(photos: Path, pipeline: Callable[..., Path]) -> None:
    plain = open_faces(str(photos), P16)
    more = open_faces(str(photos), P16, offline_augment=pipeline(), augment_copies=2)
    kept, held = split_holdout(plain.digests, 0.3)
    more_kept, more_held = split_holdout(more.digests, 0.3)
    assert 0 < len(held) < len(plain)
    assert [more.digests[i] for i in more_held] == [plain.digests[i] for i in held]
    assert len(more_kept) == 3 * len(kept)
    assert not {more.digests[i][:64] for i in more_kept} & {more.digests[i] for i in more_held}


def test_the_same_in_whatever_order_and_thread(photos: Path, pipeline: Callable[..., Path]) -> None:
    augment = OfflineAugment(pipeline(), 2)
    with open_source(photos) as source:
        names = source.names

        def copies(order: list[str], workers: int) -> dict[str, list[bytes]]:
            faces = with_copies(prepare_many(source, P16, order), augment, workers)
            return {face.name: [copy.tobytes() for copy in made] for face, made in faces}

        assert copies(names, 1) == copies(names[::-1], 4) == copies(names[3:] + names[:3], 2)


def test_the_cache_follows_the_pipeline(photos: Path, pipeline: Callable[..., Path]) -> None:
    def key(file: Path, copies: int = 1) -> str:
        return open_faces(str(photos), P16, offline_augment=file, augment_copies=copies).key

    first = key(pipeline(A.HorizontalFlip(p=1)))
    assert key(pipeline(A.HorizontalFlip(p=1), name="other-name.json")) == first
    assert key(pipeline(A.HorizontalFlip(p=1)), copies=2) != first
    assert key(pipeline(A.VerticalFlip(p=1))) != first


def test_json_and_yaml_say_the_same(photos: Path, pipeline: Callable[..., Path]) -> None:
    a, b = (
        open_faces(str(photos), P16, offline_augment=pipeline(name=name), augment_copies=1)
        for name in ("p.json", "p.yaml")
    )
    np.testing.assert_array_equal(a.images, b.images)


def test_built_in_faces_are_augmented_too(pipeline: Callable[..., Path]) -> None:
    faces = open_faces("builtin:cartoons:4", P16, offline_augment=pipeline(A.HorizontalFlip(p=1)), augment_copies=1)
    np.testing.assert_array_equal(faces.images[1::2], faces.images[::2, :, ::-1])


def test_broken_pictures_have_no_copies(photos: Path, pipeline: Callable[..., Path]) -> None:
    (photos / "bad.png").write_text("no picture")
    faces = open_faces(str(photos), P16, on_broken="skip", offline_augment=pipeline(), augment_copies=1)
    assert len(faces) == 48
    assert "copies of each of 24 photos" in faces.notes[-1]


def test_a_set_with_copies_is_not_written_as_a_real_one(
    photos: Path, tmp_path: Path, pipeline: Callable[..., Path]
) -> None:
    faces = open_faces(str(photos), P16, offline_augment=pipeline(), augment_copies=1)
    with pytest.raises(UserError, match="photos alone"):
        write_prepared(faces, tmp_path / "real.zip", force=False)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.json", None, "cannot be read"),
        ("p.txt", "{}", "json or .yaml"),
        ("p.json", "{", "no pipeline"),
        ("p.json", "[]", "no pipeline"),
        ("p.json", json.dumps({"transform": {"__class_fullname__": "os.system"}}), "no pipeline"),
        ("p.yaml", "!!python/object/apply:os.system [echo]", "no pipeline"),
    ],
)
def test_what_is_no_pipeline(photos: Path, tmp_path: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=rf"{name}.*{message}"):
        open_faces(str(photos), P16, offline_augment=tmp_path / name, augment_copies=1)


def test_a_pipeline_that_changes_the_shape(photos: Path, pipeline: Callable[..., Path]) -> None:
    for transform, made in ((A.Resize(8, 8), r"uint8 \[8, 8, 3\]"), (A.Normalize(), r"float32 \[16, 16, 3\]")):
        with pytest.raises(UserError, match=rf"must turn uint8 \[16, 16, 3\] into the same, not into {made}"):
            open_faces(str(photos), P16, offline_augment=pipeline(transform), augment_copies=1)


@pytest.mark.parametrize("copies", [0, -1])
def test_a_pipeline_makes_one_copy_or_more(photos: Path, pipeline: Callable[..., Path], copies: int) -> None:
    with pytest.raises(UserError, match=f"augment_copies={copies}"):
        open_faces(str(photos), P16, offline_augment=pipeline(), augment_copies=copies)


def test_copies_need_a_pipeline(photos: Path) -> None:
    with pytest.raises(UserError, match="augment_copies=3: give the pipeline"):
        open_faces(str(photos), P16, augment_copies=3)


def test_without_albumentations_the_extra_is_named(
    photos: Path, pipeline: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = pipeline()
    monkeypatch.setitem(sys.modules, "albumentations", None)
    with pytest.raises(UserError, match="extra augment"):
        open_faces(str(photos), P16, offline_augment=file, augment_copies=1)


def test_the_library_is_imported_late_and_asks_nobody(pipeline: Callable[..., Path]) -> None:
    code = f"""
import socket, sys
def refuse(*_): raise AssertionError("asked the network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import pathlib
from trainface.data.offline_augment import OfflineAugment
import trainface.data.dataset
assert "albumentations" not in sys.modules
OfflineAugment(pathlib.Path({str(pipeline())!r}), 1)
assert "albumentations" in sys.modules
"""
    environment = {name: value for name, value in os.environ.items() if name != "NO_ALBUMENTATIONS_UPDATE"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr
