"""`genface page` writes all that a host needs, and removes nothing that is not of a page."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto

from genface import __version__
from genface.errors import UserError
from genface.model import Generator
from genface.page import SOURCES, check_page_folder, model_name, write_page
from genface.web_runtime import runtime_package

Run = Callable[..., tuple[int, str, str]]
RUNTIME = {"ort.mjs": b"export {};", "ort.wasm": b"\0asm"}


def _names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def _site(folder: Path) -> dict[str, Any]:
    site: dict[str, Any] = json.loads((folder / "site.json").read_text())
    return site


def test_the_command_writes_all_that_a_host_needs(run: Run, tiny: Path, package_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "site"
    code, stdout, stderr = run("page", "--model", tiny, "--out", out, "--runtime", package_folder)
    assert (code, stderr) == (0, "")
    sources = _names(SOURCES) - {"runtime-files.json"}
    runtime = {f"runtime/{Path(name).name}" for name in runtime_package().files}
    assert {"index.html", "app.mjs", "engine.mjs", "latents.mjs", "runtime/LICENSE"} <= sources
    assert _names(out) == sources | runtime | {"site.json", "tiny.onnx"}
    assert all((out / name).read_bytes() == (SOURCES / name).read_bytes() for name in sources)
    assert (out / "tiny.onnx").read_bytes() == tiny.read_bytes()
    assert stdout.startswith(f"{out}: {len(_names(out))} files, ")


def test_site_json(tiny: Path, generator: Generator, tmp_path: Path) -> None:
    write_page(generator.info, tmp_path / "site", runtime=RUNTIME)
    site = _site(tmp_path / "site")
    assert set(site.pop("files")) == _names(tmp_path / "site") - {"site.json"}
    graph = tiny.read_bytes()
    assert site == {
        "kind": "genface-page",
        "format_version": 1,
        "genface": __version__,
        "model": {"file": "tiny.onnx", "bytes": len(graph), "sha256": hashlib.sha256(graph).hexdigest()},
        "input": {"name": "z", "z_dim": 8},
        "output": {"name": "images"},
        "size": 16,
        "card": {
            "architecture": "tiny",
            "dataset": "none, random weights",
            "licence": "Apache-2.0",
            "images_seen": 0,
            "checkpoint_sha256": "0" * 64,
        },
        "scores": [],
        "directions": [],
    }


def test_directions_of_the_model_reach_the_page(
    tiny_maker: dict[str, Any], save_variant: Callable[..., Path], tmp_path: Path
) -> None:
    directions = ((0.6, 0.8, *[0.0] * 6), (0.8, -0.6, *[0.0] * 6))
    model = save_variant(card=replace(tiny_maker["CARD"], directions=directions))
    write_page(Generator(model).info, tmp_path / "site", runtime=RUNTIME)
    assert _site(tmp_path / "site")["directions"] == [list(direction) for direction in directions]


def test_what_nobody_knows_of_a_stranger_is_null(save_variant: Callable[..., Path], tmp_path: Path) -> None:
    write_page(Generator(save_variant(card=None)).info, tmp_path / "site", runtime=RUNTIME)
    assert set(_site(tmp_path / "site")["card"].values()) == {None}


@pytest.mark.parametrize(
    ("name", "on_the_host"),
    [("gen.onnx", "gen.onnx"), ("Katzen für 64 #1.onnx", "Katzen-für-64--1.onnx"), ("index.html", "index.html.onnx")],
)
def test_the_models_name(name: str, on_the_host: str) -> None:
    assert model_name(Path("runs") / name) == on_the_host


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ({"form": "float -1 to 1"}, "gives float32 [N, 3, 16, 16]"),
        ({"form": "uint8 NCHW"}, "gives uint8 [N, 3, 16, 16]"),
        ({"latent_tail": (8, 1, 1)}, "takes float32 [N, 8, 1, 1]"),
        ({"latent_type": TensorProto.FLOAT16}, "takes float16 [N, 8]"),
        ({"batch": 4}, "takes float32 [4, 8]"),
    ],
)
def test_a_graph_that_the_page_cannot_draw_from(
    run: Run, save_variant: Callable[..., Path], tmp_path: Path, variant: dict[str, Any], said: str
) -> None:
    code, _, stderr = run("page", "--model", save_variant(**variant, card=None), "--out", tmp_path / "site")
    assert code == 2
    assert said in stderr
    assert "the page needs a graph that takes float32 [N, z_dim] alone and gives square pictures, uint8" in stderr
    assert not (tmp_path / "site").exists()


def test_an_earlier_page_is_replaced_by_force_alone(generator: Generator, tmp_path: Path) -> None:
    out = tmp_path / "site"
    out.mkdir()  # an empty folder is as good as none
    write_page(generator.info, out, runtime={**RUNTIME, "gone.mjs": b"of an older release"})
    with pytest.raises(UserError, match="holds a page already"):
        write_page(generator.info, out, runtime=RUNTIME)
    assert (out / "runtime" / "gone.mjs").exists()
    write_page(generator.info, out, runtime=RUNTIME, force=True)
    assert not (out / "runtime" / "gone.mjs").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["site"]  # nothing temporary is left


@pytest.mark.parametrize("name", ["CNAME", "runtime/mine.mjs", "site.json"])
def test_what_is_not_of_a_page_is_never_removed(generator: Generator, tmp_path: Path, name: str) -> None:
    out = tmp_path / "site"
    if name != "site.json":
        write_page(generator.info, out, runtime=RUNTIME)
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text('{"kind": "mine", "files": []}')
    before = _names(out)
    with pytest.raises(UserError, match=f"holds {name}, which is of no page"):
        write_page(generator.info, out, runtime=RUNTIME, force=True)
    assert _names(out) == before


def test_places_that_hold_no_page(generator: Generator, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is no folder"):
        check_page_folder(tmp_path / "file", force=True)
    with pytest.raises(UserError, match="does not exist; make it first"):
        check_page_folder(tmp_path / "none" / "site", force=True)


def test_a_failure_leaves_the_earlier_page(
    generator: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "site"
    write_page(generator.info, out, runtime=RUNTIME)
    before = _site(out)

    def full(path: Path, target: Path) -> Path:
        if ".part" in path.name:
            raise OSError(28, "No space left on device")
        os.rename(path, target)
        return target

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(UserError, match=r"No space left on device.*make room; nothing was kept"):
        write_page(generator.info, out, runtime=RUNTIME, force=True)
    assert _site(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_model_that_changes_meanwhile(tiny: Path, tmp_path: Path) -> None:
    model = tmp_path / "gen.onnx"
    model.write_bytes(tiny.read_bytes())
    info = Generator(model).info
    model.write_bytes(b"another")
    with pytest.raises(UserError, match="was replaced while it was read"):
        write_page(info, tmp_path / "site", runtime=RUNTIME)
    assert not (tmp_path / "site").exists()
