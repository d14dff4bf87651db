from __future__ import annotations

import copy
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from exportface.to_fp16 import SMALL, to_fp16
from genface.errors import UserError
from genface.latents import latents
from genface.providers import find_provider, open_session


def draw(model: onnx.ModelProto, z: np.ndarray) -> np.ndarray:
    images: np.ndarray = open_session(model.SerializeToString(), find_provider("cpu")).run(None, {"z": z})[0]
    return images.astype(int)


@pytest.mark.parametrize("name", ["s64", "dcgan64"])
def test_file_is_half_as_large_and_pictures_stay(exported: Any, name: str) -> None:
    made = exported(name)
    halved = to_fp16(made.model)
    # Biases, constants and the graph itself are not halved: 0.2 % of these files.
    assert halved.ByteSize() / made.model.ByteSize() == pytest.approx(0.5, abs=0.003)
    z = latents(0, range(16), made.config.z_dim)
    deltas = np.abs(draw(halved, z) - draw(made.model, z))
    # 11 binary digits in the weights leave relative errors of 2e-4 in a sum of thousands: 0.05 levels.
    assert 0 < deltas.mean() < 0.1
    assert deltas.max() <= 2


def test_weights_are_the_nearest_halves_and_the_model_is_left_alone(exported: Any) -> None:
    model = exported("s64").model
    before = model.SerializeToString()
    halved = {tensor.name: numpy_helper.to_array(tensor) for tensor in to_fp16(model).graph.initializer}
    assert model.SerializeToString() == before
    for tensor in model.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.size >= SMALL and value.dtype == np.float32:
            np.testing.assert_array_equal(halved[f"{tensor.name}.fp16"], value.astype(np.float16))
        else:
            np.testing.assert_array_equal(halved[tensor.name], value)


def test_conversion_is_carried_out_at_loading(exported: Any, tmp_path: Any) -> None:
    """No Cast of weights is left in what ONNX Runtime runs: the graph is as fast as the original's."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    halved = to_fp16(exported("s64").model)
    onnxruntime.InferenceSession(halved.SerializeToString(), options, providers=["CPUExecutionProvider"])
    nodes = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert nodes.count("Cast") == 1, "the one that makes the pictures uint8"


def test_a_weight_beyond_the_range_is_refused(exported: Any) -> None:
    model = copy.deepcopy(exported("s64").model)
    (tensor,) = [tensor for tensor in model.graph.initializer if tensor.name == "generator.layers.0.weight"]
    large = numpy_helper.to_array(tensor).copy()
    large.flat[7] = 65_519  # the last number that rounds to fp16's largest, 65,504
    tensor.CopyFrom(numpy_helper.from_array(large, tensor.name))
    to_fp16(model)
    large.flat[7] = 65_520
    tensor.CopyFrom(numpy_helper.from_array(large, tensor.name))
    with pytest.raises(UserError, match=r"generator\.layers\.0\.weight has weights beyond 65,504"):
        to_fp16(model)
