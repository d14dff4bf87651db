"""The deployable network as one ONNX graph, and the two copies of it that a parity check looks into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx
import torch
from onnx.utils import Extractor
from torch import Tensor, nn
from torch.export import Dim

from exportface.deployable import Deployable, WithFloats
from exportface.graph_names import graphs_in

OPSET = 20
LATENT, IMAGES = "z", "images"
PHOTOS, CODES = "photos", "codes"
"""What a mixer's encoder takes and gives; its decoder takes codes for its latents."""
FLOATS = "images_float"
"""Name, inside the graph, of the last float tensor: float32 [N, 3, H, W], about [-1, 1]."""


def to_onnx(deployable: Deployable, z_dim: int) -> onnx.ModelProto:
    """Export to the contract: `z` float32 [N, z_dim] -> `images` uint8 [N, H, W, 3]; N is free, all else is fixed."""
    model = exported(
        WithFloats(deployable),
        # A batch of 2: the exporter takes sizes 0 and 1 for constants.
        {LATENT: torch.zeros(2, z_dim)},
        outputs=[IMAGES, FLOATS],
        free={LATENT: {0: Dim("N")}},
        name="generator",
    )
    # The floats were an output only to get their name; parity asks for them again on a copy.
    del model.graph.output[1:]
    onnx.checker.check_model(model, full_check=True)
    return model


def exported(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    *,
    outputs: Sequence[str],
    free: Mapping[str, Mapping[int, Dim]],
    name: str,
) -> onnx.ModelProto:
    """A module as one ONNX graph that tells nothing about the machine.

    Args:
        module: in eval mode; its arguments are called as `inputs` are.
        inputs: examples, by name.
        outputs: the names that its results get.
        free: those sides of inputs that are not fixed, by name and place.
        name: of the graph.
    """
    program = torch.onnx.export(
        module,
        tuple(inputs.values()),
        dynamo=True,
        verbose=False,
        opset_version=OPSET,
        external_data=False,
        optimize=True,
        input_names=list(inputs),
        output_names=list(outputs),
        dynamic_shapes={name: dict(free.get(name, {})) for name in inputs},
    )
    assert program is not None, "the dynamo exporter gives a program"
    model: onnx.ModelProto = program.model_proto
    strip(model, name)
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


def strip(model: onnx.ModelProto, name: str) -> None:
    """Take out what an exporter tells about its machine: stack traces and paths, on every node and value.

    `name` is what the graph is called from then on.
    """
    graph = model.graph
    bodies = [part for function in model.functions for part in (function, *function.node)]
    for inner in graphs_in(graph):
        bodies += [inner, *inner.node, *inner.input, *inner.output, *inner.initializer]
    for part in [model, *bodies]:
        del part.metadata_props[:]
        part.doc_string = ""
    del graph.value_info[:]  # shapes between the nodes, which any reader infers again
    graph.name = name
