from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genface.model import Generator

HERE = Path(__file__).parent


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
    return runpy.run_path(str(HERE / "make_tiny_model.py"))


@pytest.fixture
def save_variant(tiny_maker: dict[str, Any], tmp_path: Path) -> Callable[..., Path]:
    """Save a variant of the tiny generator (the arguments of `build`); gives its path."""

    def save(form: str = "uint8 NHWC", **options: Any) -> Path:
        path = tmp_path / "variant.onnx"
        path.write_bytes(tiny_maker["build"](form, **options).SerializeToString())
        return path

    return save


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command genface with arguments; gives its exit code, stdout and stderr."""
    from genface.cli import app
    from genface.commands import run_app

    def run_genface(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as leave:
            run_app(app, "genface", [str(argument) for argument in arguments])
        output = capfd.readouterr()
        return int(leave.value.code or 0), output.out, output.err

    return run_genface
