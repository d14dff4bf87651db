from __future__ import annotations

import json
import os
import runpy
import types
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from genface.model import Generator
from genface.stylizer import Stylizer

HERE = Path(__file__).parent
Run = Callable[..., tuple[int, str, str]]


@cache
def names_of(script: str) -> types.SimpleNamespace:
    """What a module of helpers beside this file defines."""
    return types.SimpleNamespace(**runpy.run_path(str(HERE / script)))


# Generators


@pytest.fixture(scope="session")
def tiny() -> Path:
    """A generator of 16x16 pictures from 8 numbers, with metadata; see make_tiny_model.py."""
    return HERE / "tiny.onnx"


@pytest.fixture(scope="session")
def generator(tiny: Path) -> Generator:
    return Generator(tiny)


@pytest.fixture(scope="session")
def tiny_maker() -> dict[str, Any]:
    """The names of make_tiny_model.py, among them `build` and `CARD`."""
    return vars(names_of("make_tiny_model.py"))


@pytest.fixture
def save_variant(tiny_maker: dict[str, Any], tmp_path: Path) -> Callable[..., Path]:
    """Save a variant of the tiny generator (the arguments of `build`); gives its path."""

    def save(form: str = "uint8 NHWC", **options: Any) -> Path:
        path = tmp_path / "variant.onnx"
        path.write_bytes(tiny_maker["build"](form, **options).SerializeToString())
        return path

    return save


@pytest.fixture
def pose(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """Put a PosingRuntime (its arguments) in the place of ONNX Runtime, where OpenVINO is not installed; gives it."""
    from genface import openvino, providers

    def install(*built_in: str, **options: Any) -> Any:
        runtime = names_of("stand_in_runtimes.py").PosingRuntime(*built_in, **options)
        monkeypatch.setattr(providers, "onnx_runtime", lambda: runtime)
        monkeypatch.setattr(openvino, "is_installed", lambda: False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        return runtime

    return install


# Archives


@pytest.fixture
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that finish hundreds of archives."""
    monkeypatch.setattr(os, "fsync", lambda file: None)


@pytest.fixture
def uninterrupted(tmp_path: Path) -> Path:
    """A folder with the archive of stopped_archives.py in its three forms, each drawn in one run."""
    stopped = names_of("stopped_archives.py")
    folder = tmp_path / "uninterrupted"
    folder.mkdir()
    for name in stopped.ALL:
        stopped.draw(folder / name)
    return folder


@pytest.fixture
def draw_by_hand(generator: Generator, tmp_path: Path) -> Callable[..., Any]:
    """Draw a folder with other entries of its manifest; gives what drawn_by_hand.py calls Drawn."""
    return partial(names_of("drawn_by_hand.py").Drawn, tmp_path / "faces", generator)


# Mixers and styles


@pytest.fixture
def save_mixer(tmp_path: Path) -> Callable[..., Path]:
    """Write a mixer folder (the further arguments of `save` in tiny_mixer.py); gives its path."""
    return partial(names_of("tiny_mixer.py").save, tmp_path / "mixer")


@pytest.fixture
def mixer_folder(save_mixer: Callable[..., Path]) -> Path:
    return save_mixer()


@pytest.fixture
def parents(tmp_path: Path) -> list[Path]:
    """Photos of the faces whose codes are CODES of tiny_mixer.py."""
    mixers = names_of("tiny_mixer.py")
    paths = [tmp_path / f"{name}.png" for name in ("ann", "bob", "cid")]
    for path, code in zip(paths, mixers.CODES, strict=True):
        Image.fromarray(mixers.drawn(code)).save(path)
    return paths


@pytest.fixture
def style_file(tmp_path: Path) -> Path:
    path = tmp_path / "style.onnx"
    path.write_bytes(names_of("tiny_style.py").build())
    return path


@pytest.fixture
def stylizer(style_file: Path) -> Stylizer:
    return Stylizer(style_file, threads=2)


# Pages


@pytest.fixture
def package_folder(tmp_path: Path) -> Path:
    """What npm unpacks of onnxruntime-web, with other contents."""
    from genface.web_runtime import runtime_package

    package, folder = runtime_package(), tmp_path / "onnxruntime-web"
    for name in package.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    (folder / "package.json").write_text(json.dumps({"name": package.package, "version": package.version}))
    return folder


# Commands


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command genface with arguments; gives its exit code, stdout and stderr."""
    from genface.cli import app
    from genface.commands import run_app

    def run_genface(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as leave:
            run_app(app, "genface", [str(argument) for argument in arguments])
        output = capfd.readouterr()
        return int(leave.value.code or 0), output.out, output.err

    return run_genface


@pytest.fixture
def mix(run: Run) -> Run:
    """Run `genface mix` with arguments."""
    return partial(run, "mix")


@pytest.fixture
def stylize(run: Run) -> Run:
    """Run `genface stylize` with arguments."""
    return partial(run, "stylize")
