"""The command `trainface mixer`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from genface.commands import run_app
from trainface.cli import app

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def embedder(tmp_path: Path) -> Path:
    """An embedder that answers with the mean of each colour."""
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["pixels", "axes"], ["vectors"], keepdims=0)],
        "embedder",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["N", 3, 16, 16])],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3])],
    )
    path = tmp_path / "colours.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def test_it_trains_with_an_embedder(trainface: Command, photos: Path, embedder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["mixer", photos, "--run", run, "--preset", "tiny-embed-classic", "--embedder", embedder, "--kimg", 0.1]
    done = trainface(*words, timeout=900)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{run / 'checkpoint.pt'} at 0.1 kimg")
    assert (run / "grids" / "000000104.png").exists()


def leave(words: list[str]) -> object:
    with pytest.raises(SystemExit) as caught:
        run_app(app, "trainface", words)
    return caught.value.code


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--preset", "ae"], "unknown preset 'ae'"),
        (["--set", "kimgs=1"], "unknown setting 'kimgs'; did you mean kimg?"),
        (["--kimg", "1", "--set", "kimg=1"], "--kimg 1.0 and --set kimg=1: give one of them"),
        (["--embedder", "none.onnx"], "--embedder none.onnx: no such file"),
        (["--generator", "none.pt"], "--generator none.pt: no such file"),
        (["--embedder-size", "9"], "belong to --embedder"),
        (["--preset", "embed64"], "the method embedding needs --embedder FILE"),
        (["--device", "tpu"], "unknown device 'tpu'"),
    ],
)
def test_it_refuses_mistakes_before_it_begins(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path
) -> None:
    assert leave(["mixer", str(photos), "--run", str(tmp_path / "run"), *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_dry_run_prints_the_settings(capsys: pytest.CaptureFixture[str], photos: Path) -> None:
    assert leave(["mixer", str(photos), "--run", "r", "--set", "code_dim=64", "--dry-run"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["code_dim"], shown["method"], shown["run"]) == (64, "autoencoder", "r")


def test_settings_are_listed_for_mixers_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert leave(["settings", "--preset", "gan-encoder64"]) == 0
    shown = capsys.readouterr().out
    assert "synthetic_kimg=100 " in shown
    assert "recipes of `trainface mixer`: ae64-classic, ae64" in shown
