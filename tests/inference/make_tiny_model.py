"""Make tiny.onnx, the generator that the tests draw from, and variants of it; needs onnx and NumPy alone.

    python tests/inference/make_tiny_model.py

A linear layer to 8 channels of 4x4, a transposed convolution to 16x16, tanh, and the picture format of the contract.
Its weights are random, so its pictures are blotches; their standard deviation in [-1, 1] is over 0.2.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from genface.metadata import ModelCard
from genface.photos import Preparation

Z_DIM, SIZE = 8, 16

CARD = ModelCard(
    architecture="tiny",
    resolution=SIZE,
    z_dim=Z_DIM,
    preparation=Preparation(size=SIZE),
    dataset="none, random weights",
    images_seen=0,
    licence="Apache-2.0",
    checkpoint_sha256="0" * 64,
    parity={},
)

# Layers from tanh's [-1, 1] to the pictures, per form of output.
_TO_UINT8 = [("Mul", "half"), ("Add", "half"), ("Round",)]
FORMS = {
    "uint8 NHWC": ([*_TO_UINT8, ("NHWC",), ("Cast",)], TensorProto.UINT8, [SIZE, SIZE, 3]),
    "uint8 NCHW": ([*_TO_UINT8, ("Cast",)], TensorProto.UINT8, [3, SIZE, SIZE]),
    "float -1 to 1": ([], TensorProto.FLOAT, [3, SIZE, SIZE]),
    "float 0 to 1": ([("Mul", "unit"), ("Add", "unit")], TensorProto.FLOAT, [3, SIZE, SIZE]),
    "float 0 to 255": ([("Mul", "half"), ("Add", "half")], TensorProto.FLOAT, [3, SIZE, SIZE]),
    "float flat": ([("Mul", "flat")], TensorProto.FLOAT, [3, SIZE, SIZE]),
    "float gray": ([("Gray",)], TensorProto.FLOAT, [1, SIZE, SIZE]),
}


def build(
    form: str = "uint8 NHWC",
    *,
    card: ModelCard | None = CARD,
    latent_tail: tuple[int, ...] = (Z_DIM,),
    batch: int | str = "N",
    extra_input: bool = False,
    extra_output: bool = False,
    latent_type: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    tensors = {
        "linear": rng.normal(size=(Z_DIM, 128)) / np.sqrt(Z_DIM),
        "up": rng.normal(size=(8, 3, 4, 4)) / np.sqrt(8),
        "half": np.array(127.5),
        "unit": np.array(0.5),
        "flat": np.array(0.01),
    }
    weights = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in tensors.items()]
    shapes = {"flat_shape": [-1, Z_DIM], "square_shape": [-1, 8, 4, 4], "channel": [0]}
    weights += [numpy_helper.from_array(np.array(shape, dtype=np.int64), name) for name, shape in shapes.items()]
    chain: list[tuple[str, ...]] = [("Flatten",), ("MatMul", "linear"), ("Square",), ("Up", "up"), ("Tanh",)]
    layers, picture_type, picture_tail = FORMS[form]
    nodes, value = [], "z"
    if latent_type != TensorProto.FLOAT:
        nodes.append(helper.make_node("Cast", ["z"], ["z32"], to=TensorProto.FLOAT))
        value = "z32"
    if extra_input:
        nodes.append(helper.make_node("Add", [value, "psi"], ["shifted"]))
        value = "shifted"
    for position, (kind, *operands) in enumerate([*chain, *layers]):
        result = "images" if position + 1 == len(chain) + len(layers) else f"h{position}"
        nodes.append(_node(kind, value, operands, result))
        value = result
    inputs = [helper.make_tensor_value_info("z", latent_type, [batch, *latent_tail])]
    outputs = [helper.make_tensor_value_info("images", picture_type, [batch, *picture_tail])]
    if extra_input:
        inputs.append(helper.make_tensor_value_info("psi", TensorProto.FLOAT, []))
    if extra_output:
        outputs.append(helper.make_tensor_value_info("h1", TensorProto.FLOAT, [batch, 128]))
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    if card is not None:
        helper.set_model_props(model, card.to_props())
    onnx.checker.check_model(model)
    return model


def _node(kind: str, value: str, operands: list[str], result: str) -> onnx.NodeProto:
    make = helper.make_node
    match kind:
        case "Flatten":
            return make("Reshape", [value, "flat_shape"], [result])
        case "Square":
            return make("Reshape", [value, "square_shape"], [result])
        case "Up":
            return make("ConvTranspose", [value, *operands], [result], strides=[4, 4])
        case "NHWC":
            return make("Transpose", [value], [result], perm=[0, 2, 3, 1])
        case "Cast":
            return make("Cast", [value], [result], to=TensorProto.UINT8)
        case "Gray":
            return make("Gather", [value, "channel"], [result], axis=1)
        case _:
            return make(kind, [value, *operands], [result])


if __name__ == "__main__":
    onnx.save(build(), Path(__file__).with_name("tiny.onnx"))
