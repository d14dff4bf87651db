"""Make tiny.onnx, the generator that the tests draw from, and variants of it; needs onnx and NumPy alone.

    python tests/inference/make_tiny_model.py

A linear layer to 8 channels of 4x4, a transposed convolution to 16x16, tanh, and the picture format of the contract.
Its weights are random, so its pictures are blotches; their standard deviation in [-1, 1] is over 0.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    "float gray NHWC": ([("Gray",), ("NHWC",)], TensorProto.FLOAT, [SIZE, SIZE, 1]),
    "float NHWC": ([("NHWC",)], TensorProto.FLOAT, [SIZE, SIZE, 3]),
    "float wide": ([("Wide",)], TensorProto.FLOAT, [3, SIZE, 2 * SIZE]),
    "float four": ([("Four",)], TensorProto.FLOAT, [4, SIZE, SIZE]),
    "half": ([("Half",)], TensorProto.FLOAT16, [3, SIZE, SIZE]),
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
    scalars: Mapping[str, tuple[int, Sequence[int | str]]] | None = None,
    defaults: Mapping[str, float] | None = None,
    second_latent: bool = False,
    second_pictures: bool = False,
    pooled: bool = False,
    open_output: bool = False,
) -> onnx.ModelProto:
    """A variant of the tiny generator.

    `scalars`, name to type and shape, are added to the latent's numbers; those in `defaults` may be left out.
    `second_latent` is an input `w` like z, added too; `second_pictures` an output `mask` of gray pictures. A `pooled`
    latent counts by its mean alone, so any length will do. An `open_output` declares no sides.
    """
    rng = np.random.default_rng(0)
    tensors = {
        "linear": rng.normal(size=(Z_DIM, 128)) / np.sqrt(Z_DIM),
        "up": rng.normal(size=(8, 3, 4, 4)) / np.sqrt(8),
        "half": np.array(127.5),
        "unit": np.array(0.5),
        "flat": np.array(0.01),
    }
    shapes = {"flat_shape": [-1, Z_DIM], "square_shape": [-1, 8, 4, 4], "channel": [0]}
    if form == "float four":
        shapes["fourth"] = [0, 0, 0, 0, 0, 1, 0, 0]
    if scalars:
        shapes["column"] = [-1, 1]
    if pooled:
        shapes["one"] = [1]
        tensors["ones"] = np.ones((1, Z_DIM))
    weights = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in tensors.items()]
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
    if second_latent:
        nodes.append(helper.make_node("Add", [value, "w"], ["with_w"]))
        value = "with_w"
    if pooled:
        nodes.append(helper.make_node("ReduceMean", [value, "one"], ["mean"], keepdims=1))
        nodes.append(helper.make_node("Mul", ["mean", "ones"], ["pooled"]))
        value = "pooled"
    for name in scalars or {}:
        nodes.append(helper.make_node("Cast", [name], [f"{name}32"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Reshape", [f"{name}32", "column"], [f"{name}_column"]))
        nodes.append(helper.make_node("Add", [value, f"{name}_column"], [f"with_{name}"]))
        value = f"with_{name}"
    for position, (kind, *operands) in enumerate([*chain, *layers]):
        result = "images" if position + 1 == len(chain) + len(layers) else f"h{position}"
        nodes.append(_node(kind, value, operands, result))
        value = result
    inputs = [helper.make_tensor_value_info("z", latent_type, [batch, *latent_tail])]
    sides = ["n", "a", "b", "c"] if open_output else [batch, *picture_tail]
    outputs = [helper.make_tensor_value_info("images", picture_type, sides)]
    if extra_input:
        inputs.append(helper.make_tensor_value_info("psi", TensorProto.FLOAT, []))
    if extra_output:
        outputs.append(helper.make_tensor_value_info("h1", TensorProto.FLOAT, [batch, 128]))
    if second_latent:
        inputs.append(helper.make_tensor_value_info("w", latent_type, [batch, *latent_tail]))
    if second_pictures:
        tanh = f"h{len(chain) - 1}" if layers else "images"
        nodes.append(helper.make_node("Gather", [tanh, "channel"], ["mask"], axis=1))
        outputs.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [batch, 1, SIZE, SIZE]))
    for name, (kind, shape) in (scalars or {}).items():
        inputs.append(helper.make_tensor_value_info(name, kind, shape))
        if name in (defaults or {}):
            value = np.full(shape, defaults[name], dtype=helper.tensor_dtype_to_np_dtype(kind))
            weights.append(numpy_helper.from_array(value, name))
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
        case "Half":
            return make("Cast", [value], [result], to=TensorProto.FLOAT16)
        case "Wide":
            return make("Concat", [value, value], [result], axis=3)
        case "Four":
            return make("Pad", [value, "fourth"], [result])
        case _:
            return make(kind, [value, *operands], [result])


if __name__ == "__main__":
    onnx.save(build(), Path(__file__).with_name("tiny.onnx"))
