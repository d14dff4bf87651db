"""Drawing on OpenVINO, in either precision, where this machine has it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from genface.errors import UserError
from genface.model import Generator
from genface.providers import Provider, find_provider, open_session

SaveVariant = Callable[..., Path]


@pytest.fixture
def openvino_provider() -> Callable[[Any], Provider]:
    """OpenVINO in a precision, where this machine has both; else the test is skipped with the reason."""

    def find(precision: Any) -> Provider:
        try:
            return find_provider("openvino", precision)
        except UserError as error:
            pytest.skip(str(error))

    return find


@pytest.fixture(params=["fp32", "bf16"])
def on_openvino(tiny: Path, openvino_provider: Callable[[Any], Provider], request: pytest.FixtureRequest) -> Generator:
    """The tiny generator on OpenVINO, in either precision."""
    openvino_provider(request.param)
    return Generator(tiny, provider="openvino", precision=request.param)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_openvino_runs_on(tiny: Path, openvino_provider: Callable[[str], Provider], precision: Any) -> None:
    provider = openvino_provider(precision)
    session = open_session(tiny.read_bytes(), provider)
    assert session.get_providers()[0] == "OpenVINOExecutionProvider"
    assert set(provider.versions) == {"onnxruntime-ep-openvino"}


def test_openvino_never_hands_a_node_to_the_default_provider(
    tmp_path: Path, openvino_provider: Callable[[str], Provider]
) -> None:
    """Numbers by way of text, which OpenVINO does not know."""
    nodes = [
        onnx.helper.make_node("Reshape", ["z", "shape"], ["numbers"]),
        onnx.helper.make_node("Cast", ["numbers"], ["text"], to=onnx.TensorProto.STRING),
        onnx.helper.make_node("Cast", ["text"], ["again"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("Cast", ["again"], ["images"], to=onnx.TensorProto.UINT8),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "by text",
        [onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ["N", 48])],
        [onnx.helper.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["N", 4, 4, 3])],
        [onnx.numpy_helper.from_array(np.array([-1, 4, 4, 3]), "shape")],
    )
    path = tmp_path / "gen.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9), path)
    assert Generator(path).info.width == 4
    assert openvino_provider("fp32").name == "openvino"
    with pytest.raises(UserError, match="cannot load it on openvino"):
        Generator(path, provider="openvino")


@pytest.mark.parametrize("size", [1, 3, 7, 16, 64])
def test_on_openvino_a_picture_does_not_depend_on_its_company_or_on_threads(on_openvino: Generator, size: int) -> None:
    def draw(start: int) -> NDArray[np.uint8]:
        return on_openvino.draw(seed=5, indices=range(start, min(start + size, 100)))

    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(draw, range(0, 100, size)))
    np.testing.assert_array_equal(np.concatenate(parts), on_openvino.draw(seed=5, indices=range(100)))


def test_openvino_draws_what_the_default_provider_draws(on_openvino: Generator, generator: Generator) -> None:
    pictures = on_openvino.draw(seed=0, indices=range(64)).astype(int)
    differences = np.abs(pictures - generator.draw(seed=0, indices=range(64)))
    if on_openvino.info.provider.precision == "fp32":
        assert differences.max() <= 1
        assert (differences == 0).mean() >= 0.999
    else:
        # 8 binary digits in two layers: 3 levels and 84 % were measured; and other pictures than fp32's prove bf16.
        assert differences.max() <= 12
        assert 0.5 <= (differences == 0).mean() <= 0.99


def test_openvino_says_in_which_precision_it_ran(on_openvino: Generator, save_variant: SaveVariant) -> None:
    """It runs transposed convolutions in fp32 whatever is asked for, and the dense layer of `tiny` in bf16."""
    path = save_variant()
    model = onnx.load(path)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    (dense,) = [node for node in model.graph.node if node.op_type == "MatMul"]
    dense.op_type, dense.input[1] = "Mul", "unit"  # the 8 numbers of the latent, halved, as 8 channels of 1x1
    weights["square_shape"].CopyFrom(onnx.numpy_helper.from_array(np.array([-1, 8, 1, 1]), "square_shape"))
    kernel = onnx.numpy_helper.to_array(weights["up"]).repeat(4, axis=2).repeat(4, axis=3)
    weights["up"].CopyFrom(onnx.numpy_helper.from_array(kernel, "up"))
    onnx.save(model, path)
    asked = on_openvino.info.provider.precision
    assert Generator(path, provider="openvino", precision=asked).info.provider.precision == "fp32"
