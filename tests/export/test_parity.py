"""The check passes for what is right, and fails for every single thing that is altered."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from exportface.forms import onnx_form
from exportface.parity import MIN_STD, NUM_LATENTS, PLAN, Form, Parity, Row, measure, quantiser_errors
from exportface.report import parity_lines, warning
from genface.contract import to_rgb

CheckOnnx = Callable[[str, onnx.ModelProto], Parity]
SMALL = ["tiny", "tiny-dcgan"]


# Every export compares 1,120 images; here the nets of full size are spared three quarters of them.
QUARTER = {1: 16, 3: 8, 64: 4}
PLANS = {"tiny": PLAN, "tiny-dcgan": PLAN, "s64": QUARTER, "dcgan64": QUARTER}


@pytest.mark.parametrize(("name", "plan"), PLANS.items())
def test_pytorch_onnx_runtime_and_torchscript_agree(exported: Any, name: str, plan: dict[int, int]) -> None:
    made = exported(name)
    parity = made.parity(onnx_form(made.model), made.torchscript(), plan=plan)
    assert parity.failures == []
    assert parity.output_std >= MIN_STD, "an untrained net proves nothing"
    assert [(row.form, row.batch) for row in parity.rows] == [(f"form {i}", batch) for i in (0, 1) for batch in plan]
    assert parity.quantiser_errors == {"form 0": 0}


def test_the_plan_covers_the_batch_sizes_and_a_thousand_images() -> None:
    assert set(PLAN) == set(QUARTER) == {1, 3, 64}
    assert NUM_LATENTS >= 1000


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
    assert [failure for row in parity.rows for failure in row.failures()] == []
    assert parity.quantiser_errors["form 0"] > 50
    assert parity.failures


def test_a_missing_clamp_is_found_though_tanh_hides_it(exported: Any, check_onnx: CheckOnnx) -> None:
    model = copy.deepcopy(exported("tiny-dcgan").model)
    _no_clip({node.op_type: node for node in model.graph.node})
    parity = check_onnx("tiny-dcgan", model)
    assert [failure for row in parity.rows for failure in row.failures()] == []
    assert parity.failures


@pytest.mark.parametrize("name", SMALL)
def test_every_altered_weight_of_torchscript_is_found(exported: Any, name: str) -> None:
    made = exported(name)
    undetected = []
    for weight, _ in made.deployable.named_parameters():
        altered = copy.deepcopy(made.deployable)
        with torch.no_grad():
            altered.get_parameter(weight).mul_(1.01).add_(0.001)
        if not made.parity(made.torchscript(altered)).failures:
            undetected.append(weight)
    assert undetected == []


ROW = Row(form="f", batch=1, images=9, max_delta=9e-5, mean_delta=0.0, p9999_delta=0.0, max_levels=1, identical=0.9991)


def test_tolerances() -> None:
    assert ROW.failures() == []
    for change in ({"max_delta": 1.1e-4}, {"max_delta": np.nan}, {"max_levels": 2}, {"identical": 0.9989}):
        assert len(replace(ROW, **change).failures()) == 1


def _plain_form(shift: float = 0.0, poison: bool = False) -> Form:
    """Pictures that are a shuffled copy of the latents, 8x8 from 192 numbers."""

    def run(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        floats = (0.3 * z).reshape(-1, 3, 8, 8).astype(np.float32)
        levels = to_rgb(floats, "NCHW", "-1 to 1")
        noise = np.random.default_rng(len(z)).random(floats.shape, dtype=np.float32)
        floats = floats + np.float32(shift) * noise
        if poison:
            floats[0, 0, 0, 0] = np.nan
        return floats, levels

    return Form(run=run)


def test_figures_are_those_of_numpy() -> None:
    plan = {50: 1, 7: 3}
    parity = measure(_plain_form(), {"noisy": _plain_form(shift=1e-3)}, 192, plan=plan)
    for row, batches in zip(parity.rows, plan.values(), strict=True):
        noise = np.random.default_rng(row.batch).random((row.batch, 192), dtype=np.float32)
        deltas = np.tile(np.float32(1e-3) * noise, (batches, 1))
        # One rounding of fp32 numbers about 1, twice: 1.2e-7.
        assert row.max_delta == pytest.approx(deltas.max(), abs=2e-7)
        assert row.mean_delta == pytest.approx(deltas.mean(), abs=1e-7)
        assert row.p9999_delta == pytest.approx(np.quantile(deltas, 0.9999, method="higher"), abs=2e-7)
        assert (row.images, row.max_levels, row.identical) == (row.batch * batches, 0, 1.0)
    # A normal of deviation 0.3, cut at 1, has deviation 0.2998.
    assert parity.output_std == pytest.approx(0.3, abs=0.01)
    assert [row.batch for row in parity.rows if row.failures()] == [50, 7]


def test_a_form_that_gives_nan_fails() -> None:
    assert measure(_plain_form(), {"nan": _plain_form(poison=True)}, 192, plan={5: 1}).failures


@pytest.mark.parametrize("side", [8, 64])
def test_made_up_values_reach_every_level_and_beyond(side: int) -> None:
    seen: Iterator[np.ndarray] = iter([])

    def keep(floats: np.ndarray) -> np.ndarray:
        nonlocal seen
        seen = iter([floats])
        return to_rgb(floats, "NCHW", "-1 to 1")

    assert quantiser_errors(keep, side, side) == 0
    floats = next(seen)
    assert floats.shape[1:] == (3, side, side)
    assert set(range(256)) == set(to_rgb(floats, "NCHW", "-1 to 1").ravel().tolist())
    assert floats.min() < -100
    assert floats.max() > 100
    levels = floats * np.float32(127.5) + np.float32(127.5)
    assert np.count_nonzero(np.unique(levels) % 1 == 0.5) > 100, "borders of two levels"


def test_flat_pictures_are_warned_about() -> None:
    parity = Parity(images=9, output_std=0.19, rows=(ROW,), quantiser_errors={"f": 3})
    assert "0.190, under 0.2" in (warning(parity) or "")
    assert warning(replace(parity, output_std=0.2)) is None
    assert "3 made-up values" in "\n".join(parity_lines(parity))


def _with_weight(model: onnx.ModelProto, name: str, change: Callable[[np.ndarray], np.ndarray]) -> onnx.ModelProto:
    altered = copy.deepcopy(model)
    (tensor,) = [tensor for tensor in altered.graph.initializer if tensor.name == name]
    value = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(change(value), dtype=value.dtype), name))
    return altered
