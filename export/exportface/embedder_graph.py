"""A face recogniser's graph with its preparation in front of it: photos as genface has them in, codes out.

The resize is two products with a matrix, since a linear resize is one: the same numbers on every runtime and in any
version of ONNX's operators, and taken from the very function that training used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper, version_converter

from evalface.embedder_spec import EmbedderSpec
from evalface.extractors.resize import resize_half_pixel
from exportface.graph_names import rename_tensors, tensor_names
from exportface.to_onnx import CODES, PHOTOS, strip
from genface.errors import UserError

_PREPARED, _VECTORS = "preparation/prepared", "preparation/vectors"
_LEAST_OPSET = 7
"""From here on a Sub or Div takes operands of other shapes as NumPy does, and ONNX Runtime promises to run a graph."""
_LEAST_IR = 4
"""From here on weights need not be listed among the inputs."""
_FLOW = ""
"""Among the operands of a step: what the step before it gave."""


def with_preparation(embedder: onnx.ModelProto, spec: EmbedderSpec, *, dim: int, size: int) -> onnx.ModelProto:
    """Put resize and normalisation in front of an embedder, and nothing but [N, D] behind it.

    Args:
        embedder: float32 [N, 3, s, s] or [N, s, s, 3] -> vectors float32 [N, D] or [N, D, 1, 1]; it is not changed.
        spec: what its pictures are.
        dim: D.
        size: side of a photo in pixels.

    Returns:
        `photos` uint8 [N, size, size, 3], RGB -> `codes` float32 [N, D]. N is 1 where the embedder's is.

    Raises:
        UserError: for an embedder that takes several pictures at a time and no other number, one of an operator set
            that cannot be converted, and one that does not hold together with what is put around it.
    """
    if spec.batch not in (None, 1):
        raise UserError(
            f"takes {spec.batch} pictures at a time, and photos are encoded one by one: export it with a batch that is"
            " free, or 1"
        )
    batch = "N" if spec.batch is None else spec.batch
    try:
        middle = _modern(embedder)
        front, tail = (_beside(middle, graph) for graph in (_front(spec, size, batch), _tail(dim, batch)))
        taken = tensor_names(middle.graph) & (tensor_names(front.graph) | tensor_names(tail.graph))
        aliases = {name: f"embedder/{name}" for name in taken}
        rename_tensors(middle.graph, aliases)
        read, given = (aliases.get(name, name) for name in (spec.input_name, spec.output_name))
        fed = compose.merge_models(front, middle, io_map=[(_PREPARED, read)])
        whole = compose.merge_models(fed, tail, io_map=[(given, _VECTORS)])
    except Exception as error:
        # onnx raises ValueError, TypeError, RuntimeError and classes of its own, by what it stumbles over.
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"cannot be joined with resize and normalisation ({reason})") from error
    strip(whole, "encoder")
    return whole


def resize_matrix(before: int, after: int) -> NDArray[np.float32]:
    """float32 [after, before]: what a column of pixels is multiplied by to be resized as embedders see it."""
    # Column i of the matrix is what becomes of pixels that are 1 at i and 0 elsewhere.
    resized = resize_half_pixel(torch.eye(before)[:, :, None, None], after, antialias=True)
    matrix: NDArray[np.float32] = np.ascontiguousarray(resized[:, :, 0, 0].T.numpy())
    return matrix


def _modern(embedder: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in an operator set and a file format that what is put around it can be written in."""
    model = onnx.ModelProto()
    model.CopyFrom(embedder)
    if next((opset.version for opset in model.opset_import if not opset.domain), 1) < _LEAST_OPSET:
        model = version_converter.convert_version(model, _LEAST_OPSET)
    model.ir_version = max(model.ir_version, _LEAST_IR)
    weights = {tensor.name for tensor in model.graph.initializer}
    ports = [port for port in model.graph.input if port.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(ports)
    del model.metadata_props[:]
    return model


def _beside(model: onnx.ModelProto, graph: onnx.GraphProto) -> onnx.ModelProto:
    """A graph in the operator set and the file format of a model."""
    opsets = [opset for opset in model.opset_import if not opset.domain]
    return helper.make_model(graph, opset_imports=opsets, ir_version=model.ir_version)


def _front(spec: EmbedderSpec, size: int, batch: int | str) -> onnx.GraphProto:
    """`photos` uint8 [N, size, size, 3] -> (levels - mean) / std at the embedder's size and in its layout."""
    weights = {"mean": _by_channel(spec.mean), "std": _by_channel(spec.std)}
    steps: list[tuple[str, list[str], dict[str, Any]]] = [
        ("Cast", [_FLOW], {"to": TensorProto.FLOAT}),
        ("Transpose", [_FLOW], {"perm": [0, 3, 1, 2]}),
    ]
    if spec.size != size:
        weights["rows"] = resize_matrix(size, spec.size)
        weights["columns"] = np.ascontiguousarray(weights["rows"].T)
        steps += [("MatMul", ["rows", _FLOW], {}), ("MatMul", [_FLOW, "columns"], {})]
    steps += [("Sub", [_FLOW, "mean"], {}), ("Div", [_FLOW, "std"], {})]
    if spec.layout == "NHWC":
        steps.append(("Transpose", [_FLOW], {"perm": [0, 2, 3, 1]}))
    side = spec.size
    shape = [batch, side, side, 3] if spec.layout == "NHWC" else [batch, 3, side, side]
    nodes, flow = [], PHOTOS
    for number, (operator, operands, attributes) in enumerate(steps, 1):
        target = _PREPARED if number == len(steps) else f"preparation/{number}"
        read = [f"preparation/{operand}" if operand else flow for operand in operands]
        nodes.append(helper.make_node(operator, read, [target], **attributes))
        flow = target
    return helper.make_graph(
        nodes,
        "preparation",
        [helper.make_tensor_value_info(PHOTOS, TensorProto.UINT8, [batch, size, size, 3])],
        [helper.make_tensor_value_info(_PREPARED, TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(array, f"preparation/{name}") for name, array in weights.items()],
    )


def _tail(dim: int, batch: int | str) -> onnx.GraphProto:
    """Vectors float32 [N, D] or [N, D, 1, 1] -> `codes` float32 [N, D]."""
    return helper.make_graph(
        [helper.make_node("Flatten", [_VECTORS], [CODES], axis=1)],
        "codes",
        [helper.make_tensor_value_info(_VECTORS, TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info(CODES, TensorProto.FLOAT, [batch, dim])],
    )


def _by_channel(values: Sequence[float]) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32).reshape(1, 3, 1, 1)
