"""Rewritten layers are held against torch, one by one and in whole generators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from torch.nn import functional

from exportface.parity import Parity
from exportface.rewrites import with_plain_convolutions
from genface.providers import find_provider, open_session


def layer(
    weight: np.ndarray, bias: np.ndarray | None, shape: list[int], rectifier: str | None, **attributes: Any
) -> onnx.ModelProto:
    """One transposed convolution of `x`, with what may stand behind it, as a graph."""
    tensors = {"layer.weight": weight} | ({} if bias is None else {"layer.bias": bias})
    middle = "y" if rectifier is None else "middle"
    nodes = [helper.make_node("ConvTranspose", ["x", *tensors], [middle], **attributes)]
    if rectifier is not None:
        nodes.append(helper.make_node(rectifier, [middle], ["y"]))
    x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", *shape]) for name in ("x", "y"))
    for side in y.type.tensor_type.shape.dim[1:]:
        side.Clear()
    initializers = [numpy_helper.from_array(value, name) for name, value in tensors.items()]
    graph = helper.make_graph(nodes, "layer", [x], [y], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    output: np.ndarray = open_session(model.SerializeToString(), find_provider("cpu")).run(None, {"x": x})[0]
    return output


RECTIFIERS: dict[str | None, Callable[[torch.Tensor], torch.Tensor]] = {
    None: lambda x: x,
    "Relu": functional.relu,
    "LeakyRelu": lambda x: functional.leaky_relu(x, 0.01),
    "Tanh": torch.tanh,
}


@pytest.mark.parametrize("rectifier", RECTIFIERS)
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize(
    ("sides", "kernel", "stride", "padding", "operators"),
    [
        ((5, 3), 4, 2, 1, {"Conv", "Concat", "DepthToSpace"}),
        ((1, 1), 4, 2, 1, {"Conv", "Concat", "DepthToSpace"}),
        ((1, 1), 4, 1, 0, {"Flatten", "Gemm", "Reshape", "Add"}),
        ((5, 3), 4, 2, 0, {"ConvTranspose"}),
        ((5, 3), 3, 2, 1, {"ConvTranspose"}),
        ((5, 3), 4, 1, 0, {"ConvTranspose"}),
    ],
)
def test_a_layer_draws_what_torch_draws(
    rectifier: str | None,
    biased: bool,
    sides: tuple[int, int],
    kernel: int,
    stride: int,
    padding: int,
    operators: set[str],
) -> None:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((6, 4, kernel, kernel), dtype=np.float32)
    bias = rng.standard_normal(4, dtype=np.float32) if biased else None
    model = layer(weight, bias, [6, *sides], rectifier, strides=[stride] * 2, pads=[padding] * 4)
    rewritten = with_plain_convolutions(model)
    found = {node.op_type for node in rewritten.graph.node}
    assert found == operators | ({rectifier} - {None})

    x = rng.standard_normal((3, 6, *sides), dtype=np.float32)
    bias_tensor = None if bias is None else torch.from_numpy(bias)
    expected = functional.conv_transpose2d(
        torch.from_numpy(x), torch.from_numpy(weight), bias_tensor, stride=stride, padding=padding
    )
    # Sums of some hundred fp32 products about 1, in another order.
    np.testing.assert_allclose(run(rewritten, x), RECTIFIERS[rectifier](expected).numpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("attributes", [{"group": 2}, {"dilations": [2, 2]}, {"output_padding": [1, 1]}])
def test_what_is_not_a_doubling_layer_stays(attributes: dict[str, Any]) -> None:
    weight = np.ones((6, 4, 4, 4), np.float32)
    model = layer(weight, None, [6, 3, 3], "Relu", strides=[2, 2], pads=[1, 1, 1, 1], **attributes)
    rewritten = with_plain_convolutions(model)
    assert [node.op_type for node in rewritten.graph.node] == ["ConvTranspose", "Relu"]


def test_a_rectifier_beside_another_reader_stays_behind() -> None:
    """The bare sums are needed too, so that the rectifier can't be drawn into the layer."""
    model = layer(np.ones((6, 4, 4, 4), np.float32), None, [6, 3, 3], "Relu", strides=[2, 2], pads=[1, 1, 1, 1])
    model.graph.node[-1].output[0] = "rectified"
    model.graph.node.append(helper.make_node("Add", ["middle", "rectified"], ["y"]))
    rewritten = with_plain_convolutions(model)
    assert [node.op_type for node in rewritten.graph.node[-3:]] == ["DepthToSpace", "Relu", "Add"]
    x = np.random.default_rng(0).standard_normal((2, 6, 3, 3), dtype=np.float32)
    np.testing.assert_allclose(run(rewritten, x), run(model, x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["tiny", "tiny-dcgan"])
def test_a_rewritten_generator_passes_parity(
    exported: Any, check_onnx: Callable[[str, onnx.ModelProto], Parity], name: str
) -> None:
    model = exported(name).model
    before = model.SerializeToString()
    rewritten = with_plain_convolutions(model)
    assert model.SerializeToString() == before
    assert "ConvTranspose" not in {node.op_type for node in rewritten.graph.node}
    assert check_onnx(name, rewritten).failures == []
    assert rewritten.graph.input == model.graph.input
    assert rewritten.graph.output == model.graph.output
    used = {name for node in rewritten.graph.node for name in node.input}
    assert {tensor.name for tensor in rewritten.graph.initializer} <= used
