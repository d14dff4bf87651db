"""The page's engine with its worker and the runtime's WebAssembly, under Node.js: pictures, order, errors."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

import genface
from genface.latents import latents
from genface.model import Generator

HERE = Path(__file__).parent
WEB = Path(genface.__file__).parent / "web"
RUNTIME = HERE / "node_modules" / "onnxruntime-web"
TINY = HERE.parent / "inference" / "tiny.onnx"
NAME = "my cats #1.onnx"
COUNT = 37
"""Neither the block that the page feeds nor a multiple of it."""

pytestmark = [
    pytest.mark.node,
    pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed"),
    pytest.mark.skipif(not RUNTIME.is_dir(), reason="needs onnxruntime-web: make web"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page's folder: modules, runtime, models; its site.json is what each test says."""
    folder = tmp_path_factory.mktemp("site")
    for module in WEB.glob("*.mjs"):
        shutil.copy(module, folder)
    (folder / "runtime").mkdir()
    for file in json.loads((WEB / "runtime-files.json").read_text())["files"]:
        if "asyncify" not in file:  # the WebGPU build, for which Node has no use
            shutil.copy(RUNTIME / file, folder / "runtime")
    shutil.copy(TINY, folder / NAME)
    (folder / "words.onnx").write_bytes(b"This is no model. " * 99)
    return folder


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder without a word."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def base(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def site(folder: Path, file: str = NAME, **changes: Any) -> dict[str, Any]:
    """What the engine reads of a site.json; `bytes` and `sha256` may be told wrong."""
    data = (folder / file).read_bytes() if (folder / file).exists() else b""
    model = {"file": file, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    model |= {key: changes.pop(key) for key in ("bytes", "sha256") if key in changes}
    return {"model": model, "input": {"name": "z", "z_dim": 8}, "output": {"name": "images"}, "size": 16} | changes


def opened(folder: Path, base: str, sites: list[dict[str, Any]], z: bytes = b"") -> list[dict[str, Any]]:
    done = subprocess.run(
        ["node", str(HERE / "page_engine.mjs"), str(folder), base],
        input=json.dumps({"sites": sites, "latents": base64.b64encode(z).decode()}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    answer: list[dict[str, Any]] = json.loads(done.stdout)
    return answer


def test_the_engine_draws_pythons_pictures_in_order(folder: Path, base: str) -> None:
    z = latents(3, range(COUNT), 8)
    expected = Generator(TINY).from_latents(z)
    (drawn,) = opened(folder, base, [site(folder)], z.tobytes())
    pictures = np.frombuffer(base64.b64decode(drawn["pictures"]), np.uint8).reshape(expected.shape)
    assert expected.std() > 30, "flat pictures prove nothing"
    # Sums in another order move a value that lies on the border of two levels: one in some ten thousand.
    assert np.abs(pictures.astype(np.int16) - expected).max() <= 1
    assert (pictures != expected).mean() <= 1e-3

    # What was aborted is told at once, and what was asked for after it is still drawn, in the order of asking.
    aborted = ["late: AbortError", "torn: RangeError", "queued: AbortError", "running: AbortError"]
    assert sorted(drawn["order"]) == sorted([*aborted, "empty", "drawn"])
    assert drawn["order"].index("running: AbortError") < drawn["order"].index("empty") < drawn["order"].index("drawn")

    assert (drawn["provider"], drawn["threads"], drawn["closed"]) == ("wasm", 1, "AbortError")
    assert 0 < drawn["millisecondsPerFace"] < 1000
    size = TINY.stat().st_size
    assert drawn["progress"][0] == [0, size]
    assert drawn["progress"][-1] == [size, size]


def test_what_cannot_be_drawn_from_is_told_apart(folder: Path, base: str) -> None:
    size = TINY.stat().st_size
    cases = {
        ("missing", "404"): site(folder, "gone.onnx"),
        ("broken", f"has {size} bytes"): site(folder, bytes=size + 1),
        ("broken", "longer"): site(folder, bytes=size - 1),
        ("broken", "SHA-256"): site(folder, sha256="0" * 64),
        ("broken", "protobuf"): site(folder, "words.onnx"),
        ("foreign", "z: float32 [N,8]"): site(folder, input={"name": "z", "z_dim": 9}),
        ("foreign", "noise: float32"): site(folder, input={"name": "noise", "z_dim": 8}),
        ("foreign", "pictures: uint8"): site(folder, output={"name": "pictures"}),
        ("foreign", "uint8 [N,32,32,3]"): site(folder, size=32),
    }
    told = opened(folder, base, list(cases.values()))
    for (code, detail), answer in zip(cases, told, strict=True):
        assert (answer.get("name"), answer.get("code")) == ("EngineError", code), answer
        assert detail in answer["detail"]


def test_no_server_is_a_missing_model(folder: Path) -> None:
    (answer,) = opened(folder, "http://127.0.0.1:9/", [site(folder)])
    assert (answer["name"], answer["code"]) == ("EngineError", "missing")


def test_a_runtime_that_was_not_copied_is_named(folder: Path, base: str, tmp_path: Path) -> None:
    for module in WEB.glob("*.mjs"):
        shutil.copy(module, tmp_path)
    (answer,) = opened(tmp_path, base, [site(folder)])
    assert (answer["name"], answer["code"]) == ("EngineError", "runtime")
    assert "runtime/ort" in answer["detail"]
