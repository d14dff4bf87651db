"""Parity fails for every single thing that is altered in a graph, on every runtime that this machine has."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from exportface.forms import onnx_form
from exportface.parity import Parity
from exportface.tolerances import TOLERANCES
from genface.errors import UserError
from genface.providers import Provider, find_provider

CheckOnnx = Callable[[str, onnx.ModelProto], Parity]


SMALL = ["tiny", "tiny-dcgan"]


@pytest.mark.parametrize("name", SMALL)
def test_every_altered_weight_is_found(exported: Any, check_onnx: CheckOnnx, name: str) -> None:
    model = exported(name).model
    weights = [tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT]
    assert len(weights) >= 6

    def by_a_hundredth(value: np.ndarray) -> np.ndarray:
        # Scalars are the last nodes' constants, in levels.
        return value * np.float32(1.01) + 0.001 if value.ndim else value + 1

    undetected = [
        weight for weight in weights if not check_onnx(name, _with_weight(model, weight, by_a_hundredth)).failures
    ]
    assert undetected == []


def test_one_altered_number_in_a_weight_is_found(exported: Any, check_onnx: CheckOnnx) -> None:
    def alter_one(value: np.ndarray) -> np.ndarray:
        value = value.copy()
        value.flat[value.size // 2] += 0.01
        return value

    assert check_onnx("tiny", _with_weight(exported("tiny").model, "generator.layers.0.weight", alter_one)).failures


def _floor(nodes: dict[str, onnx.NodeProto]) -> None:
    nodes["Round"].op_type = "Floor"


def _ceil(nodes: dict[str, onnx.NodeProto]) -> None:
    nodes["Round"].op_type = "Ceil"


def _truncate(nodes: dict[str, onnx.NodeProto]) -> None:
    nodes["Clip"].input[0] = nodes["Round"].input[0]


def _no_clip(nodes: dict[str, onnx.NodeProto]) -> None:
    nodes["Transpose"].input[0] = nodes["Clip"].input[0]


def _swap_sides(nodes: dict[str, onnx.NodeProto]) -> None:
    nodes["Transpose"].attribute[0].CopyFrom(helper.make_attribute("perm", [0, 3, 2, 1]))


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("alter", [_floor, _ceil, _truncate, _no_clip, _swap_sides])
def test_altered_quantising_is_found(
    exported: Any, check_onnx: CheckOnnx, name: str, alter: Callable[[dict[str, onnx.NodeProto]], None]
) -> None:
    model = copy.deepcopy(exported(name).model)
    alter({node.op_type: node for node in model.graph.node})
    onnx.checker.check_model(model, full_check=True)
    assert check_onnx(name, model).failures


@pytest.mark.parametrize("name", SMALL)
def test_swapped_colours_are_found(exported: Any, check_onnx: CheckOnnx, name: str) -> None:
    model = copy.deepcopy(exported(name).model)
    (last,) = [node for node in model.graph.node if node.output[0] == "images"]
    last.output[0] = "rgb"
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0]), "bgr"))
    model.graph.node.append(helper.make_node("Gather", ["rgb", "bgr"], ["images"], axis=3))
    onnx.checker.check_model(model, full_check=True)
    assert check_onnx(name, model).failures


def test_rounding_halves_up_is_found_by_made_up_values_alone(exported: Any, check_onnx: CheckOnnx) -> None:
    """So rare in pictures that no share of equal values shows it; borders of two levels do."""
    model = copy.deepcopy(exported("tiny").model)
    nodes = {node.op_type: node for node in model.graph.node}
    model.graph.initializer.append(numpy_helper.from_array(np.array(0.5, np.float32), "half"))
    at = list(model.graph.node).index(nodes["Round"])
    model.graph.node.insert(at, helper.make_node("Add", [nodes["Round"].input[0], "half"], ["shifted"]))
    nodes["Round"].input[0], nodes["Round"].op_type = "shifted", "Floor"
    onnx.checker.check_model(model, full_check=True)
    parity = check_onnx("tiny", model)
    assert [failure for row in parity.rows for failure in row.failures(TOLERANCES["fp32"])] == []
    assert parity.quantiser_errors["form 0"] > 50
    assert parity.failures


def test_a_missing_clamp_is_found_though_tanh_hides_it(exported: Any, check_onnx: CheckOnnx) -> None:
    model = copy.deepcopy(exported("tiny-dcgan").model)
    _no_clip({node.op_type: node for node in model.graph.node})
    parity = check_onnx("tiny-dcgan", model)
    assert [failure for row in parity.rows for failure in row.failures(TOLERANCES["fp32"])] == []
    assert parity.failures


PLUGIN_PLAN: Mapping[int, int] = {1: 4, 3: 2, 64: 1}


@pytest.fixture(scope="module")
def openvino() -> dict[str, Provider]:
    """OpenVINO's settings by precision."""
    try:
        return {"fp32": find_provider("openvino"), "bf16": find_provider("openvino", "bf16")}
    except UserError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", SMALL)
def test_openvino_is_within_its_tolerance(
    exported: Any, openvino: dict[str, Provider], name: str, precision: str
) -> None:
    made = exported(name)
    form = onnx_form(made.model, openvino[precision])
    assert form.tolerance == TOLERANCES[precision]
    parity = made.parity(form)
    assert parity.failures == []
    assert parity.quantiser_errors == {"form 0": 0}


def test_bf16_is_not_fp32(exported: Any, openvino: dict[str, Provider]) -> None:
    """The dense and convolution layers of `tiny` compute in bf16 when asked for, and in fp32 when not."""
    made = exported("tiny")
    coarse = replace(onnx_form(made.model, openvino["bf16"]), tolerance=TOLERANCES["fp32"])
    assert made.parity(coarse, plan=PLUGIN_PLAN).failures


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("alter", [_floor, _ceil, _truncate, _swap_sides])
def test_altered_quantising_is_found_on_openvino(
    exported: Any, openvino: dict[str, Provider], alter: Callable[[dict[str, onnx.NodeProto]], None], precision: str
) -> None:
    made = exported("tiny")
    model = copy.deepcopy(made.model)
    alter({node.op_type: node for node in model.graph.node})
    assert made.parity(onnx_form(model, openvino[precision]), plan=PLUGIN_PLAN).failures


def test_every_altered_weight_is_found_on_openvino(exported: Any, openvino: dict[str, Provider]) -> None:
    """Scalars, the bounds of the clamp among them, are left out: OpenVINO's cast to uint8 clamps by itself."""
    made = exported("tiny")
    weights = [
        tensor.name
        for tensor in made.model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and tensor.dims
    ]
    assert len(weights) >= 6

    def found(weight: str) -> bool:
        model = _with_weight(made.model, weight, lambda value: value * np.float32(1.01) + np.float32(0.001))
        return bool(made.parity(onnx_form(model, openvino["fp32"]), plan=PLUGIN_PLAN).failures)

    assert [weight for weight in weights if not found(weight)] == []


def _with_weight(model: onnx.ModelProto, name: str, change: Callable[[np.ndarray], np.ndarray]) -> onnx.ModelProto:
    altered = copy.deepcopy(model)
    (tensor,) = [tensor for tensor in altered.graph.initializer if tensor.name == name]
    value = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(change(value), dtype=value.dtype), name))
    return altered
