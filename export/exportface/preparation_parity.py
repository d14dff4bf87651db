"""Whether a mixer's encoder shows its embedder what the embedder was shown in training, without the embedder's file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx
from onnx import TensorProto, helper

from evalface.embedder_spec import EmbedderSpec
from exportface.code_parity import CodeParity, measure_codes
from exportface.embedder_graph import with_preparation
from exportface.figures import Levels
from exportface.mixer_parity import by_onnx
from genface.errors import UserError

_CHANNELS = 3


def measure_preparation(encoder: onnx.ModelProto, facts: Mapping[str, Any], photos: Levels) -> CodeParity:
    """Hold the pixels inside `encoder` that its embedder gets against those that an export makes by `facts` today.

    `encoder` is what `with_preparation` gave, `facts` are those of the embedder in the checkpoint; the figures are in
    units of the pixels' root mean square. Raises UserError for a graph without a preparation.
    """
    right = with_preparation(_idle(facts), _spec(facts), dim=_CHANNELS * facts["size"] ** 2, size=photos.shape[1])
    (read,) = (node.input[0] for node in right.graph.node if node.op_type == "Identity")
    if not any(read in node.output for node in encoder.graph.node):
        raise UserError(f"its graph lacks {read}, which exportface writes: it was altered")
    opened = onnx.ModelProto()
    opened.CopyFrom(encoder)
    opened.graph.output.append(helper.make_tensor_value_info(read, TensorProto.FLOAT, None))
    return measure_codes(by_onnx(right)(photos), by_onnx(opened, read), photos, batches=(1,))


def _spec(facts: Mapping[str, Any]) -> EmbedderSpec:
    return EmbedderSpec(
        input_name="pixels",
        output_name="same",
        layout=facts["layout"],
        size=facts["size"],
        mean=tuple(facts["mean"]),
        std=tuple(facts["std"]),
        batch=None,
        title=None,
    )


def _idle(facts: Mapping[str, Any]) -> onnx.ModelProto:
    """An embedder whose vectors are its pictures."""
    side = facts["size"]
    shape = ["N", side, side, _CHANNELS] if facts["layout"] == "NHWC" else ["N", _CHANNELS, side, side]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("pixels", "same")]
    graph = helper.make_graph([helper.make_node("Identity", ["pixels"], ["same"])], "idle", ports[:1], ports[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
