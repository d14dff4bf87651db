"""A convolutional network of torch as an ONNX graph, written in a second.

torch's own exporter writes the same graph, but needs 6 to 10 s for each of these networks at every start, and packages
that nothing else in this room asks for. What proves the graph is `open_runtime`: it compares features with torch's.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import fx, nn
from torch.nn import functional as F

_OPSET = 20
_IR_VERSION = 10
Pair = int | tuple[int, int]


def to_onnx(network: nn.Module, side: int) -> bytes:
    """Serialise `network`, float32 [N, 3, side, side] -> float32 [N, d], with N free.

    It may hold what `_OPERATORS` lists; anything else is an error of the program.
    """
    trace = _Tracer().trace(network)
    writer = _Writer()
    names: dict[fx.Node, Any] = {}
    for node in trace.nodes:
        match node.op:
            case "placeholder":
                names[node] = _INPUT
            case "get_attr":
                names[node] = writer.constant(str(node.target), operator.attrgetter(str(node.target))(network))
            case "output":
                writer.nodes.append(helper.make_node("Identity", [names[node.all_input_nodes[0]]], [_OUTPUT]))
            case _:
                assert node.target in _OPERATORS, f"no ONNX form of {node.target}"
                args, kwargs = fx.node.map_arg((node.args, node.kwargs), names.__getitem__)
                names[node] = _OPERATORS[node.target](writer, *args, **kwargs)
    graph = helper.make_graph(
        writer.nodes,
        "features",
        [helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, ["N", 3, side, side])],
        [helper.make_tensor_value_info(_OUTPUT, TensorProto.FLOAT, ["N", "d"])],
        writer.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    data: bytes = model.SerializeToString()
    return data


_INPUT, _OUTPUT = "pixels", "features"


class _Tracer(fx.Tracer):
    """Follows torch's own modules too, so that only functions are left to write."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return False


class _Writer:
    """Nodes and constants in the order in which they are asked for."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Append a node of one output; return the output's name."""
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, name: str, value: torch.Tensor) -> str:
        self.constants.append(numpy_helper.from_array(value.detach().contiguous().numpy(), name))
        return name

    def number(self, value: torch.Tensor) -> str:
        return self.constant(f"constant_{len(self.constants)}", value)


def _pair(value: Pair) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


# Each takes the arguments of torch's function of that name, a writer in front.


def _conv2d(
    w: _Writer,
    x: str,
    weight: str,
    bias: str,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> str:
    return w.node(
        "Conv", x, weight, bias, strides=_pair(stride), pads=_pair(padding) * 2, dilations=_pair(dilation), group=groups
    )


def _avg_pool2d(
    w: _Writer, x: str, kernel_size: Pair, stride: Pair, padding: Pair = 0, *, count_include_pad: bool = True
) -> str:
    return w.node(
        "AveragePool",
        x,
        kernel_shape=_pair(kernel_size),
        strides=_pair(stride),
        pads=_pair(padding) * 2,
        count_include_pad=int(count_include_pad),
    )


def _max_pool2d(w: _Writer, x: str, kernel_size: Pair, stride: Pair, padding: Pair = 0, **others: Any) -> str:
    assert others == {"dilation": 1, "ceil_mode": False, "return_indices": False}, "torch names its defaults too"
    return w.node("MaxPool", x, kernel_shape=_pair(kernel_size), strides=_pair(stride), pads=_pair(padding) * 2)


def _pad(w: _Writer, x: str, pad: tuple[int, int, int, int], mode: str = "constant", value: float | None = None) -> str:
    assert mode == "constant", "nothing is mirrored"
    assert not value, "only zeros are padded"
    left, right, top, bottom = pad
    return w.node("Pad", x, w.number(torch.tensor([0, 0, top, left, 0, 0, bottom, right])))


def _relu(w: _Writer, x: str, inplace: bool = False) -> str:
    return w.node("Relu", x)


def _hardtanh(w: _Writer, x: str, min_val: float, max_val: float, inplace: bool = False) -> str:
    return w.node("Clip", x, w.number(torch.tensor(float(min_val))), w.number(torch.tensor(float(max_val))))


def _cat(w: _Writer, parts: list[str], dim: int) -> str:
    return w.node("Concat", *parts, axis=dim)


def _add(w: _Writer, x: str, y: str) -> str:
    return w.node("Add", x, y)


def _mean(w: _Writer, x: str, dim: tuple[int, int], dtype: torch.dtype) -> str:
    assert (dim, dtype) == ((2, 3), torch.float32), "the mean over the picture, in float32"
    return w.node("Flatten", w.node("GlobalAveragePool", x))


_OPERATORS: dict[Any, Callable[..., str]] = {
    F.conv2d: _conv2d,
    F.avg_pool2d: _avg_pool2d,
    F.max_pool2d: _max_pool2d,
    F.pad: _pad,
    F.relu: _relu,
    F.hardtanh: _hardtanh,
    torch.cat: _cat,
    operator.add: _add,
    "mean": _mean,
}
