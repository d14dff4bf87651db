"""Transposed convolutions as plain ones: the same sums, for precisions in which a runtime has fast code for those only.

A doubling layer is a transposed convolution 4x4 with stride 2 and padding 1. Row 2i + a of its output (a = 0, 1) reads
the two input rows i - 1 + a and i + a, by the kernel's rows 3 - a and 1 - a; columns alike. So each of the four phases
(a, b) of the output is a 2x2 convolution of the input, all four together take as many multiplications as the layer,
and DepthToSpace interleaves them (Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?").

Two other ways were measured and lost (LOG.md): one 3x3 convolution with four times the channels, which has 2.25 times
the multiplications, and one 2x2 convolution of the padded input, whose phases then have to be sliced out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Weights = NDArray[np.float32]

_PHASES = tuple(itertools.product((0, 1), repeat=2))
# They act on each number alone, and so may stand before the phases are interleaved, where a runtime fuses them.
_RECTIFIERS = {"LeakyRelu", "Relu"}


@dataclass(frozen=True, kw_only=True)
class _Layer:
    """A transposed convolution and the rectifier behind it."""

    name: str
    source: str
    target: str
    """Name of the output, behind the rectifier where there is one."""
    weight: Weights
    """float32 [in, out, side, side]."""
    bias: Weights
    """float32 [out]."""
    rectifier: onnx.NodeProto | None


@dataclass(frozen=True, kw_only=True)
class _Rewritten:
    nodes: Sequence[onnx.NodeProto]
    tensors: Mapping[str, NDArray[Any]]


def with_plain_convolutions(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without the transposed convolutions of this project's generators, equal but for the order of fp32 sums.

    Doubling layers become four convolutions each; one whose input is a single pixel becomes a matrix product; any other
    stays. The nodes that a layer becomes are named `layer/part`, by the name of its weights without `.weight`.
    """
    shapes = _shapes(model)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    taken: set[str] = set()
    for node in model.graph.node:
        if node.output[0] in taken:
            continue  # a rectifier that went with its layer
        rewrite = _rewriting(node, shapes)
        if rewrite is None:
            nodes.append(node)
            continue
        layer = _read(node, model.graph, tensors)
        taken.add(layer.target)
        rewritten = rewrite(layer)
        nodes += rewritten.nodes
        tensors |= {name: numpy_helper.from_array(value, name) for name, value in rewritten.tensors.items()}
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        model.graph.name,
        model.graph.input,
        model.graph.output,
        [tensor for name, tensor in tensors.items() if name in used],
    )
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.CopyFrom(graph)
    onnx.checker.check_model(copy, full_check=True)
    return copy


def _doubling_as_four(layer: _Layer) -> _Rewritten:
    """A doubling layer as a 2x2 convolution for each phase of its output, interleaved."""
    nodes, phases = [], []
    tensors: dict[str, NDArray[Any]] = {f"{layer.name}.bias": layer.bias}
    for a, b in _PHASES:
        part = f"{layer.name}/{a}{b}"
        # [in, out, rows, columns] -> [out, in, rows, columns], of which phase a reads row 3 - a first, then 1 - a.
        kernel = layer.weight[:, :, 3 - a :: -2, 3 - b :: -2].transpose(1, 0, 2, 3)
        tensors[f"{part}.weight"] = np.ascontiguousarray(kernel)
        inputs = [layer.source, f"{part}.weight", f"{layer.name}.bias"]
        pads = [1 - a, 1 - b, a, b]  # top, left, bottom, right
        nodes.append(helper.make_node("Conv", inputs, [part], part, kernel_shape=[2, 2], pads=pads))
        if layer.rectifier is not None:
            nodes.append(_renamed(layer.rectifier, part, f"{part}/rectified"))
        phases.append(nodes[-1].output[0])
    joined = f"{layer.name}/joined"
    nodes.append(helper.make_node("Concat", phases, [joined], joined, axis=1))
    # DCR takes the phase for the slower part of the channel number, as the concatenation has it.
    shuffle = f"{layer.name}/interleaved"
    nodes.append(helper.make_node("DepthToSpace", [joined], [layer.target], shuffle, blocksize=2, mode="DCR"))
    return _Rewritten(nodes=nodes, tensors=tensors)


def _pixel_as_product(layer: _Layer) -> _Rewritten:
    """A layer whose input is one pixel: [N, in, 1, 1] -> [N, in] -> [N, out side^2] -> [N, out, side, side].

    As a product, weights are read once for the batch, not once for every picture in it.
    """
    num_in, num_out, side, _ = layer.weight.shape
    flat, product, shape = (f"{layer.name}/{part}" for part in ("flat", "product", "shape"))
    shaped = layer.target if layer.rectifier is None else f"{layer.name}/shaped"
    nodes = [
        helper.make_node("Flatten", [layer.source], [flat], flat, axis=1),
        helper.make_node("Gemm", [flat, f"{product}.weight"], [product], product),
        helper.make_node("Reshape", [product, shape], [f"{layer.name}/pixels"], shape),
        helper.make_node("Add", [f"{layer.name}/pixels", f"{layer.name}.bias"], [shaped], f"{layer.name}/biased"),
    ]
    if layer.rectifier is not None:
        nodes.append(_renamed(layer.rectifier, shaped, layer.target))
    return _Rewritten(
        nodes=nodes,
        tensors={
            f"{product}.weight": layer.weight.reshape(num_in, -1),
            f"{layer.name}.bias": layer.bias.reshape(-1, 1, 1),
            shape: np.array([-1, num_out, side, side], dtype=np.int64),
        },
    )


def _rewriting(node: onnx.NodeProto, shapes: Mapping[str, list[int]]) -> Callable[[_Layer], _Rewritten] | None:
    """The way to rewrite this node, None for one that stays."""
    if node.op_type != "ConvTranspose":
        return None
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    side = shapes[node.input[1]][2:]
    strides, pads = given.get("strides", [1, 1]), given.get("pads", [0, 0, 0, 0])
    if given.get("group", 1) != 1 or any(given.get("output_padding", [0])) or set(given.get("dilations", [1])) != {1}:
        return None
    if (side, strides, pads) == ([4, 4], [2, 2], [1, 1, 1, 1]):
        return _doubling_as_four
    if (shapes[node.input[0]][2:], pads) == ([1, 1], [0, 0, 0, 0]) and side[0] == side[1]:
        return _pixel_as_product
    return None


def _read(node: onnx.NodeProto, graph: onnx.GraphProto, tensors: Mapping[str, onnx.TensorProto]) -> _Layer:
    weight = numpy_helper.to_array(tensors[node.input[1]])
    bias = numpy_helper.to_array(tensors[node.input[2]]) if len(node.input) > 2 else np.zeros_like(weight[0, :, 0, 0])
    readers = [other for other in graph.node if node.output[0] in other.input]
    rectifier = readers[0] if len(readers) == 1 and readers[0].op_type in _RECTIFIERS else None
    return _Layer(
        name=node.input[1].removesuffix(".weight"),
        source=node.input[0],
        target=(rectifier or node).output[0],
        weight=weight,
        bias=bias,
        rectifier=rectifier,
    )


def _renamed(rectifier: onnx.NodeProto, source: str, target: str) -> onnx.NodeProto:
    node = onnx.NodeProto()
    node.CopyFrom(rectifier)
    node.name, node.input[0], node.output[0] = f"{source}/{rectifier.op_type}", source, target
    return node


def _shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Shapes of all values and weights, 0 for the free batch."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = [*graph.value_info, *graph.input, *graph.output]
    shapes = {value.name: [side.dim_value for side in value.type.tensor_type.shape.dim] for value in values}
    return shapes | {tensor.name: list(tensor.dims) for tensor in graph.initializer}
