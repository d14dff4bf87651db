"""Checkpoints that `exportface mixer` does not take, and exports that fail: nothing is left, nothing is replaced."""

from __future__ import annotations

import re
import runpy
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx import numpy_helper

import exportface.mixer_export as module
from exportface.mixer_export import export_mixer
from exportface.mixer_source import read_mixer
from genface.errors import UserError
from genface.mixer import Mixer

Run = Callable[..., tuple[int, str, str]]

mixers = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("tiny_mixers.py"))))
contents, make_state, write, write_embedder = mixers.contents, mixers.make_state, mixers.write, mixers.write_embedder


# Checkpoints and embedders


def _change(**values: object) -> Callable[[dict[str, Any]], object]:
    return lambda state: state.update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_change(kind="trainface-style"), "of kind trainface-style, where one of kind trainface-mixer was looked for"),
        (_change(format_version=9), "format 9 of trainface-mixer"),
        (_change(cur_nimg=-1), "damaged"),
        (_change(ema={}), "damaged, it lacks or garbles 'encoder'"),
        (_change(preparation={"size": 32}), "prepared at 32 px and its network is for 16 px"),
        (_change(data={"name": "x"}), "damaged, it lacks or garbles 'held_out_identities'"),
        (lambda state: state["config"].update(widths=[8, 9]), "weights do not fit its own configuration"),
        (lambda state: state["config"].update(novelty=1), "configuration of another version"),
        (lambda state: state["ema"]["decoder"]["to_rgb.bias"].fill_(torch.nan), "not all finite (to_rgb.bias)"),
    ],
)
def test_checkpoints_that_do_not_fit(
    run: Run, tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    state = make_state("tiny-ae-classic")
    change(state)
    path = write(tmp_path / "checkpoint.pt", state)
    code, stdout, stderr = run("mixer", path, "--out", tmp_path / "mixer")
    assert (code, stdout) == (2, "")
    assert stderr.startswith(f"exportface: error: {path}: ")
    assert message in stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.update(embedder=None), "damaged, it lacks or garbles 'embedder'"),
        (lambda state: state["embedder"].pop("mean"), "damaged, it lacks or garbles 'mean'"),
        (lambda state: state["embedder"].update(dim=9), "damaged, .* an embedder of 9 numbers for codes of 8"),
    ],
)
def test_embedders_that_a_checkpoint_garbles(
    mixer_embedder: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    state = make_state("tiny-embed", mixer_embedder)
    change(state)
    with pytest.raises(UserError, match=message):
        read_mixer(write(tmp_path / "checkpoint.pt", state))


def test_embedders_that_do_not_belong(exported_mixer: Any, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    other, out = write_embedder(tmp_path / "b" / "face.onnx", seed=2), tmp_path / "mixer"
    with pytest.raises(
        UserError, match="decodes the vectors of an embedder, A recogniser; give its file by --embedder"
    ):
        export_mixer(exported_mixer("tiny-embed")[0], out, licence="CC0")
    with pytest.raises(UserError, match="is not the embedder that the mixer learned from, A recogniser"):
        export_mixer(exported_mixer("tiny-embed")[0], out, embedder=other, licence="CC0")
    with pytest.raises(UserError, match="has an encoder of its own; leave the option out"):
        export_mixer(exported_mixer("tiny-ae-classic")[0], out, embedder=other, licence="CC0")
    with pytest.raises(UserError, match="the licence is empty"):
        export_mixer(exported_mixer("tiny-ae-classic")[0], out, licence=" ")
    assert [entry.name for entry in tmp_path.iterdir()] == ["b"]


# Exports that fail


@pytest.mark.parametrize("record", [None, "[]", '{"kind": "genface-release"}', '{"kind": "genface-mixer"}'])
def test_a_folder_of_something_else_is_never_taken(
    ready_mixer: tuple[Path, Path], tmp_path: Path, record: str | None
) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    if record is not None:
        (out / "mixer.json").write_text(record)
    before = contents(out)
    with pytest.raises(UserError, match="holds something else than a mixer"):
        export_mixer(ready_mixer[0], out, licence="CC0", force=True)
    assert contents(out) == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis"]


def _floor(model: onnx.ModelProto) -> None:
    (rounding,) = [node for node in model.graph.node if node.op_type == "Round"]
    rounding.op_type = "Floor"


def _nudge(model: onnx.ModelProto) -> None:
    """A hundredth off in one of the weights."""
    (bias,) = [tensor for tensor in model.graph.initializer if tensor.name.endswith("to_code.bias")]
    values = numpy_helper.to_array(bias).copy()
    values[0] += 0.1
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))


@pytest.mark.parametrize(
    ("graph", "change", "message"),
    [
        ("decoder_graph", _floor, r"decoder, ONNX, cpu fp32, batch 1: .* levels in the mean"),
        ("encoder_graph", _nudge, r"encoder, batch 1: max \|delta\| .* of the codes' size is over 0\.001, and 1 more"),
    ],
)
def test_failing_parity_leaves_nothing(
    run: Run,
    ready_mixer: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    graph: str,
    change: Callable[[onnx.ModelProto], None],
    message: str,
) -> None:
    original = getattr(module, graph)

    def altered(*arguments: Any) -> onnx.ModelProto:
        model = original(*arguments)
        change(model)
        return model

    monkeypatch.setattr(module, graph, altered)
    code, stdout, stderr = run("mixer", ready_mixer[0], "--out", tmp_path / "mixer")
    assert code == 1
    assert "allowed" in stdout
    assert re.search("exportface: parity failed, nothing was written: " + message, stderr)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_genface_reads_otherwise_is_refused(
    run: Run, ready_mixer: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = Mixer.decode
    monkeypatch.setattr(Mixer, "decode", lambda *arguments: 255 - decode(*arguments))
    code, _, stderr = run("mixer", ready_mixer[0], "--out", tmp_path / "mixer")
    assert (code, list(tmp_path.iterdir())) == (1, [])
    assert "genface decodes pictures from the folder that differ by" in stderr


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=repr)
def test_what_breaks_off_leaves_things_as_they_were(
    ready_mixer: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    existing: bool,
    error: BaseException,
) -> None:
    out = tmp_path / "mixer"
    if existing:
        export_mixer(ready_mixer[0], out, licence="CC0")
    before = contents(out) if existing else None

    def fail(*arguments: Any) -> None:
        raise error

    monkeypatch.setattr(module.atomic, "write_text", fail)
    expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else UserError
    with pytest.raises(expected) as failed:
        export_mixer(ready_mixer[0], out, licence="CC0", force=existing)
    if expected is UserError:
        assert str(failed.value) == f"{out}: cannot be written (No space left on device); nothing was kept"
    assert (contents(out) if out.exists() else None) == before
    assert [entry.name for entry in tmp_path.iterdir()] == (["mixer"] if existing else [])
