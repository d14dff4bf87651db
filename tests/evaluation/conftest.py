"""Small picture sets, a cache of their own, and Inception weights made at random in the published form."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from evalface.cli import app
from evalface.extractors.inception_network import InceptionNetwork
from genface.commands import run_app


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or fills the developer's caches."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("EVALFACE_CACHE", str(folder / "evalface"))
    monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))
    return folder / "evalface"


@pytest.fixture(scope="session")
def inception_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights whose batch norms have seen two batches: fresh ones give nearly constant features."""
    torch.manual_seed(0)
    network = InceptionNetwork().train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # a plain mean over the batches
    with torch.no_grad():
        for _ in range(2):
            network(torch.rand(3, 3, 299, 299) * 2 - 1)
    path = tmp_path_factory.mktemp("weights") / "random-inception.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def noise_faces() -> Callable[..., np.ndarray]:
    """`noise_faces(n, height, width, seed)`: uint8 pictures of smooth colours with noise."""

    def make(n: int, height: int = 32, width: int = 32, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        base = rng.integers(40, 200, (n, 1, 1, 3))
        return np.clip(base + rng.normal(0, 20, (n, height, width, 3)), 0, 255).astype(np.uint8)

    return make


def png(pixels: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


@pytest.fixture
def make_folder(tmp_path: Path, noise_faces: Callable[..., np.ndarray]) -> Callable[..., Path]:
    """`make_folder(name, n, size, seed)`: a folder of PNGs."""

    def make(name: str, n: int = 8, size: int = 16, seed: int = 0) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for i, face in enumerate(noise_faces(n, size, size, seed)):
            (folder / f"{i:03d}.png").write_bytes(png(face))
        return folder

    return make


@pytest.fixture
def make_archive(tmp_path: Path, noise_faces: Callable[..., np.ndarray]) -> Callable[..., Path]:
    """`make_archive(name, manifest, n, size, seed)`: a .zip of PNGs with a manifest.json."""

    def make(name: str, manifest: dict[str, Any], n: int = 8, size: int = 16, seed: int = 0) -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w") as archive:
            for i, face in enumerate(noise_faces(n, size, size, seed)):
                archive.writestr(f"{i:06d}.png", png(face))
            archive.writestr("manifest.json", json.dumps(manifest))
        return path

    return make


@pytest.fixture
def evalface(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run the command in this process: exit code, stdout, lines of stderr."""
    monkeypatch.setattr("signal.signal", lambda *_: None)

    def run(*args: object) -> tuple[int, str, list[str]]:
        with pytest.raises(SystemExit) as leave:
            run_app(app, "evalface", [str(arg) for arg in args])
        captured = capsys.readouterr()
        return int(leave.value.code or 0), captured.out, captured.err.splitlines()

    return run
