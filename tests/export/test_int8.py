from __future__ import annotations

import logging
from typing import Any

import numpy as np
import onnx
import pytest

from exportface import to_int8 as module
from exportface.forms import onnx_form
from exportface.parity import quantiser_errors
from exportface.to_int8 import MAX_MEAN_ERROR, to_int8
from exportface.to_onnx import FLOATS, quantiser
from genface.errors import UserError
from genface.latents import latents
from genface.providers import find_provider, open_session


def draw(model: onnx.ModelProto, z: np.ndarray) -> np.ndarray:
    images: np.ndarray = open_session(model.SerializeToString(), find_provider("cpu")).run(None, {"z": z})[0]
    return images.astype(int)


def ignore(line: str) -> None:
    """Takes what is said to people."""


@pytest.fixture(scope="module")
def s64(exported: Any) -> Any:
    made = exported("s64")
    return made, to_int8(made.model, made.config.z_dim, ignore)


def test_file_is_a_quarter_and_pictures_stay_near(s64: Any) -> None:
    made, int8 = s64
    # A quarter, and 1 % for scales, nodes and the layer that stays in float.
    assert int8.model.ByteSize() < 0.27 * made.model.ByteSize()
    assert 0 < int8.mean_error <= MAX_MEAN_ERROR
    z = latents(1, range(32), made.config.z_dim)
    deltas = np.abs(draw(int8.model, z) - draw(made.model, z))
    # Other latents than those it was measured on.
    assert deltas.mean() == pytest.approx(int8.mean_error, rel=0.25)


def test_convolutions_are_quantised_per_channel_and_nothing_runs_transposed(s64: Any) -> None:
    _, int8 = s64
    graph = int8.model.graph
    operators = [node.op_type for node in graph.node]
    assert "ConvTranspose" not in operators
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    made_by = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        if node.op_type == "Conv":
            source, weight = (made_by[name] for name in node.input[:2])
            assert (source.op_type, weight.op_type) == ("DequantizeLinear", "DequantizeLinear")
            assert types[source.input[2]] == onnx.TensorProto.UINT8
            assert types[weight.input[0]] == onnx.TensorProto.INT8
            (scale,) = [tensor for tensor in graph.initializer if tensor.name == weight.input[1]]
            (stored,) = [tensor for tensor in graph.initializer if tensor.name == weight.input[0]]
            assert scale.dims[0] == stored.dims[0]


def test_last_float_tensor_is_one(s64: Any) -> None:
    """Parity looks at it, and genface's rounding follows it directly."""
    _, int8 = s64
    assert [node.op_type for node in quantiser(int8.model).graph.node] == [
        "Mul", "Add", "Round", "Clip", "Transpose", "Cast",
    ]  # fmt: skip
    quantise = onnx_form(int8.model).quantise
    assert quantise is not None
    assert quantiser_errors(quantise, 64, 64) == 0
    assert any(FLOATS in node.output for node in int8.model.graph.node)


def test_the_worst_layers_stay_in_float_until_the_error_is_within_the_bound(
    s64: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, loose = s64
    monkeypatch.setattr(module, "MAX_MEAN_ERROR", 0.7 * loose.mean_error)
    lines: list[str] = []
    strict = to_int8(made.model, made.config.z_dim, lines.append)
    assert strict.mean_error <= 0.7 * loose.mean_error
    errors = list(strict.alone.values())
    assert len(errors) == 4
    assert errors == sorted(errors, reverse=True)
    assert strict.in_float == tuple(strict.alone)[: len(strict.in_float)] != ()
    assert strict.model.ByteSize() > loose.model.ByteSize()
    assert f"{strict.in_float[0]} stays in float" in "\n".join(lines)


def test_a_bound_out_of_reach_is_an_error(exported: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MEAN_ERROR", 1e-6)
    made = exported("tiny")
    with pytest.raises(UserError, match="take fp16"):
        to_int8(made.model, made.config.z_dim, ignore)


def test_is_quiet_leaves_no_files_and_no_trace_of_the_machine(
    exported: Any,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = exported("tiny-dcgan")
    before = made.model.SerializeToString()
    with caplog.at_level(logging.DEBUG):
        int8 = to_int8(made.model, made.config.z_dim, ignore)
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert list(tmp_path.iterdir()) == []
    assert made.model.SerializeToString() == before
    data = int8.model.SerializeToString()
    assert str(tmp_path).encode() not in data
    assert b"/tmp" not in data
    assert not int8.model.metadata_props


def test_gives_the_same_bytes_again(exported: Any) -> None:
    made = exported("tiny")
    first, second = (to_int8(made.model, made.config.z_dim, ignore) for _ in range(2))
    assert first.model.SerializeToString(deterministic=True) == second.model.SerializeToString(deterministic=True)
