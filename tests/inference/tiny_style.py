"""A style file of a small convolutional network with instance norm, and photos to try it on; loaded by runpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from genface.style_card import StyleCard

CHANNELS = 4
STYLES = ("waves", "dots: red", "ash")
CARD = StyleCard(
    styles=STYLES,
    margin=4,  # the second convolution reaches 1, enlarging 1 more, the first convolution 1
    stride=2,
    training_size=64,
    dataset="none, random weights",
    licence="Apache-2.0",
    images_seen=0,
    features="none",
    checkpoint_sha256="0" * 64,
    parity={},
)
_ASYMMETRIC = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


def build(card: StyleCard | None = CARD, *, styles: int = len(STYLES), photo: str = "photo") -> bytes:
    """Photo to half its size, instance norm by style, back to its size; style 0 adds nothing to the photo itself."""
    rng = np.random.default_rng(0)
    tensors: dict[str, Any] = {
        "shrink": rng.normal(size=(CHANNELS, 3, 3, 3)) / 3,
        "enlarge": rng.normal(size=(3, CHANNELS, 3, 3)) / 3,
        "scales": rng.uniform(0.5, 1.5, size=(styles + 1, CHANNELS)),
        "shifts": rng.normal(size=(styles + 1, CHANNELS)),
        "half": np.array(0.5),
        "middle": np.array(127.5),
        "epsilon": np.array(1e-5),
        "least": np.array(0),
        "most": np.array(255),
        "no_roi": np.zeros(0),
        "twice": np.array([1, 1, 2, 2]),
    }
    whole = {
        "sides": [2, 3],
        "columns": [-1, CHANNELS, 1, 1],
        "rows": [1, CHANNELS],
        "zero": [0],
        "one": [1],
        "two": [2],
        "four": [4],
        "axes": [2, 3],
    }
    weights = [numpy_helper.from_array(np.asarray(value, dtype=np.float32), name) for name, value in tensors.items()]
    weights += [numpy_helper.from_array(np.array(value, dtype=np.int64), name) for name, value in whole.items()]
    make = helper.make_node
    nodes = [
        make("Cast", [photo], ["levels"], to=TensorProto.FLOAT),
        make("Transpose", ["levels"], ["planes"], perm=[0, 3, 1, 2]),
        make("Sub", ["planes", "middle"], ["centred"]),
        make("Div", ["centred", "middle"], ["x"]),
        make("Conv", ["x", "shrink"], ["h"], strides=[2, 2], pads=[1, 1, 1, 1]),
        make("ReduceMean", ["h", "sides"], ["own_mean"], keepdims=1),
        make("Sub", ["h", "own_mean"], ["off"]),
        make("Mul", ["off", "off"], ["squares"]),
        make("ReduceMean", ["squares", "sides"], ["own_variance"], keepdims=1),
        make("Reshape", ["own_mean", "rows"], ["mean_row"]),
        make("Reshape", ["own_variance", "rows"], ["variance_row"]),
        make("Concat", ["mean_row", "variance_row"], ["norms_out"], axis=0),
        make("Greater", ["use_norms", "half"], ["given"]),
        make("Where", ["given", "norms", "norms_out"], ["both"]),
        make("Reshape", ["both", "columns"], ["both_columns"]),
        make("Gather", ["both_columns", "zero"], ["mean"], axis=0),
        make("Gather", ["both_columns", "one"], ["variance"], axis=0),
        make("Sub", ["h", "mean"], ["moved"]),
        make("Add", ["variance", "epsilon"], ["safe"]),
        make("Sqrt", ["safe"], ["deviation"]),
        make("Div", ["moved", "deviation"], ["normed"]),
        make("MatMul", ["weights", "scales"], ["scale_row"]),
        make("MatMul", ["weights", "shifts"], ["shift_row"]),
        make("Reshape", ["scale_row", "columns"], ["scale"]),
        make("Reshape", ["shift_row", "columns"], ["shift"]),
        make("Mul", ["normed", "scale"], ["scaled"]),
        make("Add", ["scaled", "shift"], ["shifted"]),
        make("Tanh", ["shifted"], ["bent"]),
        make("Resize", ["bent", "no_roi", "twice"], ["doubled"], mode="nearest", **_ASYMMETRIC),
        make("Shape", ["x"], ["shape"]),
        make("Slice", ["shape", "two", "four"], ["hw"]),
        make("Slice", ["doubled", "both_zero", "hw", "axes"], ["fitted"]),
        make("Conv", ["fitted", "enlarge"], ["strokes"], pads=[1, 1, 1, 1]),
        make("Slice", ["weights", "zero", "one", "one"], ["identity"]),
        make("Sub", ["unit", "identity"], ["styled"]),
        make("Mul", ["strokes", "styled"], ["added"]),
        make("Add", ["x", "added"], ["y"]),
        make("Mul", ["y", "middle"], ["stretched"]),
        make("Add", ["stretched", "middle"], ["raised"]),
        make("Clip", ["raised", "least", "most"], ["clipped"]),
        make("Round", ["clipped"], ["rounded"]),
        make("Transpose", ["rounded"], ["last"], perm=[0, 2, 3, 1]),
        make("Cast", ["last"], ["picture"], to=TensorProto.UINT8),
    ]
    weights.append(numpy_helper.from_array(np.zeros(2, dtype=np.int64), "both_zero"))
    weights.append(numpy_helper.from_array(np.ones(1, dtype=np.float32), "unit"))
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            info(photo, TensorProto.UINT8, [1, "height", "width", 3]),
            info("weights", TensorProto.FLOAT, [1, styles + 1]),
            info("norms", TensorProto.FLOAT, [2, CHANNELS]),
            info("use_norms", TensorProto.FLOAT, [1]),
        ],
        [
            info("picture", TensorProto.UINT8, [1, "height", "width", 3]),
            info("norms_out", TensorProto.FLOAT, [2, CHANNELS]),
        ],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    if card is not None:
        helper.set_model_props(model, card.to_props())
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def photo_of(height: int, width: int) -> NDArray[np.uint8]:
    """Waves that get brighter to the lower right, so that no part has the mean of the whole; and a little noise."""
    y, x = np.mgrid[:height, :width].astype(float)
    waves = 40 * np.sin(x / 7) * np.cos(y / 11) + 150 * (x + y) / (height + width) + 30
    noise = np.random.default_rng(1).normal(scale=8, size=(height, width, 3))
    return np.rint((waves[..., None] + noise).clip(0, 255)).astype(np.uint8)
