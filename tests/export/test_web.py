"""Exported files in onnxruntime-web: the WebAssembly that a browser runs, here under Node.js."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from exportface.to_fp16 import to_fp16
from exportface.to_int8 import to_int8
from genface.latents import latents
from genface.model import Generator

PACKAGE = Path(__file__).parents[1] / "web"
NODE = shutil.which("node")
SEED, COUNT = 3, 37
"""37: neither the block of 16 that genface feeds nor a multiple of it."""
MAX_LEVELS = {"fp32": 1, "fp16": 1, "int8": 4}
"""Of int8 an activation on the border of two of its 256 steps may fall to either side, and moves what comes after."""
MAX_DIFFERING = 1e-3
"""Sums in another order move a value that lies on the border of two levels: one in some ten thousand."""

pytestmark = [
    pytest.mark.node,
    pytest.mark.skipif(NODE is None, reason="Node.js is not installed"),
    pytest.mark.skipif(
        not (PACKAGE / "node_modules" / "onnxruntime-web").is_dir(), reason="needs onnxruntime-web: make web"
    ),
]


def draw_in_web(model: Path, z: NDArray[np.float32], folder: Path) -> NDArray[np.uint8]:
    """The pictures of latents float32 [N, z_dim] by onnxruntime-web: uint8 [N, H, W, 3]."""
    given, drawn = folder / "latents.f32", folder / "pictures.u8"
    given.write_bytes(z.astype("<f4").tobytes())
    command = ["node", "draw.mjs", str(model.resolve()), str(given), str(drawn)]
    done = subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["type"] == "uint8"
    assert told["version"] == json.loads((PACKAGE / "package.json").read_text())["dependencies"]["onnxruntime-web"]
    return np.fromfile(drawn, np.uint8).reshape(told["shape"])


def in_precision(precision: str, model: onnx.ModelProto, z_dim: int) -> onnx.ModelProto:
    if precision == "int8":
        return to_int8(model, z_dim, say=lambda line: None).model
    return to_fp16(model) if precision == "fp16" else model


@pytest.mark.parametrize(
    ("preset", "precision"),
    [("tiny", "fp32"), ("tiny-dcgan", "fp32"), ("s64", "fp32"), ("s64", "fp16"), ("s64", "int8")],
)
def test_a_browser_draws_the_same_pictures(
    exported: Callable[[str], Any], tmp_path: Path, preset: str, precision: str
) -> None:
    made = exported(preset)
    onnx.save(in_precision(precision, made.model, made.config.z_dim), tmp_path / "gen.onnx")
    z = latents(SEED, range(COUNT), made.config.z_dim)
    expected = Generator(tmp_path / "gen.onnx").from_latents(z)
    drawn = draw_in_web(tmp_path / "gen.onnx", z, tmp_path)
    assert expected.std() > 30, "flat pictures prove nothing"
    assert drawn.shape == expected.shape
    differing = float((drawn != expected).mean())
    print(f"{preset} {precision}: {differing:.2e} of the values differ")  # pytest -rP shows it
    assert np.abs(drawn.astype(np.int16) - expected).max() <= MAX_LEVELS[precision]
    assert differing <= MAX_DIFFERING


def test_the_lock_names_no_address_but_the_public_registrys() -> None:
    lock = json.loads((PACKAGE / "package-lock.json").read_text())
    addresses = [package["resolved"] for package in lock["packages"].values() if "resolved" in package]
    assert all(address.startswith("https://registry.npmjs.org/") for address in addresses)
    assert all("integrity" in package for name, package in lock["packages"].items() if name)
