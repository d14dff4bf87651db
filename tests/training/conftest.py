"""Fixtures of the training room: a private cache, tiny data, tiny runs."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genface.photos import Preparation
from trainface.config import Config
from trainface.data.dataset import FaceSet
from trainface.presets import preset


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TRAINFACE_CACHE", str(path))
    return path


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def faces() -> FaceSet:
    """64 smooth random pictures of 16 px."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (64, 4, 4, 3)).astype(np.uint8)
    images = np.stack([np.asarray(Image.fromarray(c).resize((16, 16), Image.Resampling.BICUBIC)) for c in coarse])
    return FaceSet(
        name="noise",
        images=images,
        names=[f"{i}.png" for i in range(64)],
        digests=[hashlib.sha256(image.tobytes()).hexdigest() for image in images],
        preparation=Preparation(size=16),
        key="0" * 64,
        notes=[],
    )


@pytest.fixture
def tiny() -> Config:
    return preset("tiny")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of 24 small photos, one of them nested."""
    folder = tmp_path / "photos"
    (folder / "00000").mkdir(parents=True)
    rng = np.random.default_rng(1)
    for index in range(24):
        pixels = rng.integers(0, 256, (20, 24, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / ("00000" if index == 0 else ".") / f"{index:05d}.png")
    return folder


@pytest.fixture
def trainface() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command as a user does."""

    def run(*args: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        code = "import trainface.cli; trainface.cli.main()"
        command = [sys.executable, "-c", code, *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)

    return run
