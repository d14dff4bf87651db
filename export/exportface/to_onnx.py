"""The deployable network as one ONNX graph, and the two copies of it that a parity check looks into."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
import torch
from onnx.utils import Extractor

from exportface.deployable import Deployable, WithFloats

OPSET = 20
LATENT, IMAGES = "z", "images"
FLOATS = "images_float"
"""Name, inside the graph, of the last float tensor: float32 [N, 3, H, W], about [-1, 1]."""


def to_onnx(deployable: Deployable, z_dim: int) -> onnx.ModelProto:
    """Export to the contract: `z` float32 [N, z_dim] -> `images` uint8 [N, H, W, 3]; N is free, all else is fixed."""
    program = torch.onnx.export(
        WithFloats(deployable),
        # A batch of 2: the exporter takes sizes 0 and 1 for constants.
        (torch.zeros(2, z_dim),),
        dynamo=True,
        verbose=False,
        opset_version=OPSET,
        external_data=False,
        optimize=True,
        input_names=[LATENT],
        output_names=[IMAGES, FLOATS],
        dynamic_shapes={"z": {0: torch.export.Dim("N")}},
    )
    assert program is not None, "the dynamo exporter gives a program"
    model: onnx.ModelProto = program.model_proto
    _strip(model)
    # The floats were an output only to get their name; parity asks for them again on a copy.
    del model.graph.output[1:]
    onnx.checker.check_model(model, full_check=True)
    return model


def with_floats(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose second output is the last float tensor."""
    copy = _copy(model)
    shape = [side.dim_value for side in model.graph.output[0].type.tensor_type.shape.dim]
    nchw = ["N", shape[3], shape[1], shape[2]]
    copy.graph.output.append(onnx.helper.make_tensor_value_info(FLOATS, onnx.TensorProto.FLOAT, nchw))
    return copy


def quantiser(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph's last nodes alone: the last float tensor -> `images`."""
    tail: onnx.ModelProto = Extractor(with_floats(model)).extract_model([FLOATS], [IMAGES])
    return tail


def with_props(model: onnx.ModelProto, props: Mapping[str, str]) -> onnx.ModelProto:
    """A copy with these metadata properties."""
    copy = _copy(model)
    onnx.helper.set_model_props(copy, dict(props))
    return copy


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def _strip(model: onnx.ModelProto) -> None:
    """Take out what the exporter tells about the machine: stack traces and paths, on every node and value."""
    graph = model.graph
    described = [model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer]
    for part in described:
        del part.metadata_props[:]
        part.doc_string = ""
    del graph.value_info[:]  # shapes between the nodes, which any reader infers again
    graph.name = "generator"
