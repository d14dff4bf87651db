"""A file is what its checkpoint made, or `verify` says what is wrong: with its pictures, its facts or its figures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from exportface.export import CONFIG_KEY, PRECISION_KEY, export
from exportface.source import read_source
from exportface.to_onnx import FLOATS
from exportface.verify import verify
from genface.errors import UserError
from genface.model import Generator

Tamper = Callable[[onnx.ModelProto], object]


@pytest.fixture(scope="module")
def checkpoint(make_checkpoint: Callable[..., Path]) -> Path:
    return make_checkpoint("tiny")


@pytest.fixture(scope="module")
def shipped(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shipped") / "gen.onnx"
    export(checkpoint, path, licence="CC0")
    return path


@pytest.fixture
def tampered(shipped: Path, tmp_path: Path) -> Callable[[Tamper], Path]:
    """Save an altered copy of the shipped file; gives its path."""

    def save(tamper: Tamper) -> Path:
        model, path = onnx.load(shipped), tmp_path / "tampered.onnx"
        tamper(model)
        onnx.save(model, path)
        return path

    return save


def _props(**changes: Any) -> Tamper:
    """Alter metadata; keys are given with `_` for `.`, records as JSON, None takes a key out."""

    def tamper(model: onnx.ModelProto) -> None:
        props = {prop.key: prop.value for prop in model.metadata_props}
        for name, value in changes.items():
            key = name.replace("__", ".")
            props.pop(key, None)
            if value is not None:
                props[key] = value if isinstance(value, str) else json.dumps(value)
        del model.metadata_props[:]
        helper.set_model_props(model, props)

    return tamper


def _parity_of(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(
        next(prop.value for prop in onnx.load(path).metadata_props if prop.key == "genface.parity")
    )
    return record


def _weight(change: Callable[[np.ndarray], np.ndarray]) -> Tamper:
    def tamper(model: onnx.ModelProto) -> None:
        tensor = max(model.graph.initializer, key=lambda tensor: int(np.prod(tensor.dims)))
        value = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(change(value).astype(value.dtype), tensor.name))

    return tamper


def test_a_good_file_verifies(shipped: Path, checkpoint: Path) -> None:
    said: list[str] = []
    verified = verify(shipped, checkpoint, said.append)
    assert verified.failures == []
    assert verified.precision == "fp32"
    assert "ONNX, cpu fp32" in {row.form for row in verified.parity.rows}
    assert len(said) == 1
    record = json.loads(json.dumps(verified.to_dict(), allow_nan=False))
    assert record["failures"] == []
    assert record["checkpoint_sha256"] == verified.card.checkpoint_sha256


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_smaller_file_is_held_to_its_own_tolerance(checkpoint: Path, tmp_path: Path, precision: Any) -> None:
    path = tmp_path / "small.onnx"
    export(checkpoint, path, precision=precision, licence="CC0", cost_images=0)
    verified = verify(path, checkpoint)
    assert verified.failures == []
    assert verified.precision == precision


def _turned(directions: list[list[float]]) -> None:
    """The first one is a mixture of what it was and the last."""
    first, last = directions[0], directions[-1]
    directions[0], directions[-1] = (
        [0.8 * a + 0.6 * b for a, b in zip(first, last, strict=True)],
        [0.8 * b - 0.6 * a for a, b in zip(first, last, strict=True)],
    )


def _twice(directions: list[list[float]]) -> None:
    directions[1] = directions[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_turned, "number 1 is not what moves the features most"),
        (list.reverse, "number 1 is not what moves the features most"),
        (_twice, "are not orthogonal unit vectors"),
    ],
)
def test_directions_that_are_not_the_generators(
    shipped: Path,
    tampered: Callable[[Tamper], Path],
    checkpoint: Path,
    change: Callable[[list[list[float]]], object],
    said: str,
) -> None:
    card = Generator(shipped).info.card
    assert card is not None
    directions = [list(direction) for direction in card.directions]
    assert directions
    change(directions)
    (failure,) = verify(tampered(_props(genface__directions=directions)), checkpoint).failures
    assert failure.startswith("metadata: directions: ")
    assert said in failure


def test_a_file_of_before_there_were_directions(tampered: Callable[[Tamper], Path], checkpoint: Path) -> None:
    assert verify(tampered(_props(genface__directions=None)), checkpoint).failures == []


def test_a_file_without_a_precision_is_fp32(tampered: Callable[[Tamper], Path], checkpoint: Path) -> None:
    verified = verify(tampered(_props(**{_key(PRECISION_KEY): None})), checkpoint)
    assert (verified.failures, verified.precision) == ([], "fp32")


def _key(name: str) -> str:
    return name.replace(".", "__")


def _one_larger(value: np.ndarray) -> np.ndarray:
    value = value.copy()
    value.flat[value.size // 2] += 0.01
    return value


@pytest.mark.parametrize("change", [lambda value: value * 1.01, lambda value: value[::-1], _one_larger])
def test_altered_weights(
    tampered: Callable[[Tamper], Path], checkpoint: Path, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    failures = verify(tampered(_weight(change)), checkpoint).failures
    assert any("max |delta|" in failure for failure in failures)


def test_int8_weights_that_claim_to_be_fp32(checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    export(checkpoint, path, precision="int8", licence="CC0", cost_images=0)
    model = onnx.load(path)
    _props(**{_key(PRECISION_KEY): "fp32"})(model)
    onnx.save(model, path)
    assert "metadata: exportface.precision is fp32, the graph is int8" in verify(path, checkpoint).failures


@pytest.mark.parametrize("claim", ["fp16", "int8"])
def test_a_claim_of_coarse_weights_does_not_widen_the_tolerance(
    tampered: Callable[[Tamper], Path], checkpoint: Path, claim: str
) -> None:
    def slightly(model: onnx.ModelProto) -> None:
        _weight(lambda value: value * 1.0005)(model)
        _props(**{_key(PRECISION_KEY): claim})(model)

    failures = verify(tampered(slightly), checkpoint).failures
    assert any("over 0.0001" in failure for failure in failures)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"genface__images_seen": "1000000"}, "images_seen is 1000000, in the checkpoint"),
        ({"genface__architecture": "r3"}, "architecture is 'r3', in the checkpoint 'normfree'"),
        ({"genface__dataset": "other faces"}, "dataset is 'other faces'"),
        ({_key(CONFIG_KEY): "{}"}, "not the configuration"),
        ({_key(CONFIG_KEY): "no JSON"}, "not the configuration"),
        ({_key(CONFIG_KEY): None}, "not the configuration"),
        ({"genface__parity": {}}, "parity figures are damaged"),
    ],
)
def test_facts_that_are_not_the_checkpoints(
    tampered: Callable[[Tamper], Path], checkpoint: Path, changes: dict[str, Any], told: str
) -> None:
    verified = verify(tampered(_props(**changes)), checkpoint)
    assert verified.parity.failures == []
    assert len(verified.failures) == 1
    assert told in verified.failures[0]


def _better(record: dict[str, Any]) -> None:
    record["output_std"] = 0.9


def _another_row(record: dict[str, Any]) -> None:
    for row in record["rows"]:
        row["max_delta"] = 9e-5


def _unequal(record: dict[str, Any]) -> None:
    for row in record["rows"]:
        row["identical"] = 0.9991


def _no_number(record: dict[str, Any]) -> None:
    record["rows"][0]["max_delta"] = None


def _none(record: dict[str, Any]) -> None:
    record["rows"] = []


@pytest.mark.parametrize(
    ("lie", "told"),
    [
        (_better, "stored output_std is 0.900"),
        (_another_row, "stored max_delta"),
        (_unequal, "stored identical"),
        (_no_number, "stored max_delta"),
        (_none, "none of the forms"),
    ],
)
def test_stored_figures_that_lie(
    tampered: Callable[[Tamper], Path],
    shipped: Path,
    checkpoint: Path,
    lie: Callable[[dict[str, Any]], None],
    told: str,
) -> None:
    record = _parity_of(shipped)
    lie(record)
    verified = verify(tampered(_props(genface__parity=record)), checkpoint)
    assert verified.parity.failures == []
    assert told in " ".join(verified.failures)


def test_figures_that_differ_by_noise_are_no_lie(
    tampered: Callable[[Tamper], Path], shipped: Path, checkpoint: Path
) -> None:
    record = _parity_of(shipped)
    for row in record["rows"]:
        row["max_delta"] *= 1.5
    assert verify(tampered(_props(genface__parity=record)), checkpoint).failures == []


def test_another_checkpoint_is_named(shipped: Path, make_checkpoint: Callable[..., Path]) -> None:
    other = make_checkpoint("tiny", lambda state: state.update(cur_nimg=state["cur_nimg"] + 64))
    with pytest.raises(
        UserError, match=r"gen\.onnx: was made of the checkpoint [0-9a-f]{12} .* is [0-9a-f]{12} .* seen"
    ):
        verify(shipped, other)


def test_a_forged_hash_of_another_architecture(
    make_checkpoint: Callable[..., Path], tampered: Callable[[Tamper], Path]
) -> None:
    other = make_checkpoint("tiny-dcgan")
    verified = verify(tampered(_props(genface__checkpoint_sha256=read_source(other).sha256)), other)
    assert verified.parity.failures
    assert any("architecture" in contradiction for contradiction in verified.contradictions)


def test_a_forged_hash_of_another_size(shipped: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = read_source(checkpoint)
    for change, told in (
        ({"z_dim": 9}, "has z_dim 8, .* 9"),
        ({"size": 32, "g_widths": (16,) * 3, "d_widths": (16,) * 3}, "resolution 16, .* 32"),
    ):
        other = replace(source, config=replace(source.config, **change))
        monkeypatch.setattr("exportface.verify.read_source", lambda _, other=other: other)
        with pytest.raises(UserError, match=told):
            verify(shipped, checkpoint)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"genface__format_version": None}, "not exported by this project"),
        ({"genface__z_dim": "9", "genface__directions": None}, "metadata says"),
        ({"genface__z_dim": "9"}, "genface.directions is no list of unit vectors of 9 numbers"),
        ({_key(PRECISION_KEY): "fp8"}, "exportface.precision is 'fp8'"),
    ],
)
def test_what_cannot_be_compared(
    tampered: Callable[[Tamper], Path], checkpoint: Path, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError, match=rf"tampered\.onnx: .*{told}"):
        verify(tampered(_props(**changes)), checkpoint)


def test_a_graph_whose_tensors_were_renamed(tampered: Callable[[Tamper], Path], checkpoint: Path) -> None:
    def rename(model: onnx.ModelProto) -> None:
        for node in model.graph.node:
            for names in (node.input, node.output):
                names[:] = ["renamed" if name == FLOATS else name for name in names]

    with pytest.raises(UserError, match=r"tampered\.onnx: .*was altered"):
        verify(tampered(rename), checkpoint)


def test_a_graph_that_calls_another_tensor_its_floats(tampered: Callable[[Tamper], Path], checkpoint: Path) -> None:
    def swap(model: onnx.ModelProto) -> None:
        first = model.graph.node[0].output[0]
        swapped = {FLOATS: first, first: FLOATS}
        for node in model.graph.node:
            for names in (node.input, node.output):
                names[:] = [swapped.get(name, name) for name in names]

    with pytest.raises(UserError, match=r"tampered\.onnx: "):
        verify(tampered(swap), checkpoint)


def test_a_graph_of_an_operator_set_that_nothing_here_runs(
    tampered: Callable[[Tamper], Path], checkpoint: Path
) -> None:
    path = tampered(lambda model: setattr(model.opset_import[0], "version", 99))
    with pytest.raises(UserError, match=r"tampered\.onnx: ONNX Runtime cannot load it"):
        verify(path, checkpoint)


def test_figures_never_replace_what_was_compared(
    run: Callable[..., tuple[int, str, str]], shipped: Path, checkpoint: Path, tmp_path: Path
) -> None:
    """And where they cannot be written, that is said before the work."""
    before = checkpoint.read_bytes(), shipped.read_bytes()
    for json_file, message in (
        (checkpoint, "checkpoint.pt: is what is read"),
        (shipped, "gen.onnx: is what is read"),
        (tmp_path, "is a folder"),
        (tmp_path / "missing" / "figures.json", "does not exist; make it first"),
    ):
        code, stdout, stderr = run("verify", shipped, "--checkpoint", checkpoint, "--json", json_file)
        assert (code, stdout, stderr.count("\n")) == (2, "", 1)
        assert message in stderr
    assert (checkpoint.read_bytes(), shipped.read_bytes()) == before
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_not_there_or_no_model(shipped: Path, checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        verify(tmp_path / "gen.onnx", checkpoint)
    with pytest.raises(UserError, match=r"missing\.pt"):
        verify(shipped, tmp_path / "missing.pt")
    shutil.copy(checkpoint, tmp_path / "gen.onnx")
    with pytest.raises(UserError, match=r"gen\.onnx: is a \.zip or a torch checkpoint"):
        verify(tmp_path / "gen.onnx", checkpoint)
