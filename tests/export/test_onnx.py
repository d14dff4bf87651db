"""The ONNX file by itself: its contract, its record, and what it must not tell."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from exportface.to_onnx import FLOATS, quantiser, with_floats, with_props
from genface.metadata import ModelCard
from genface.photos import Preparation
from genface.providers import find_provider, open_session

NAMES = ["tiny", "tiny-dcgan", "s64", "dcgan64"]
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", NAMES)
def test_contract(exported: Any, name: str) -> None:
    made = exported(name)
    (latent,), (images,) = made.model.graph.input, made.model.graph.output
    size = made.config.size
    assert (latent.name, _shape(latent)) == ("z", ["N", made.config.z_dim])
    assert latent.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert (images.name, _shape(images)) == ("images", ["N", size, size, 3])
    assert images.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [(opset.domain, opset.version) for opset in made.model.opset_import] == [("", 20)]
    assert len(made.model.functions) == 0


@pytest.mark.parametrize("name", NAMES)
def test_graph_is_folded(exported: Any, name: str) -> None:
    made = exported(name)
    operators = [node.op_type for node in made.model.graph.node]
    assert "BatchNormalization" not in operators
    # Everything that depends on no latent was computed at export; only one tail of fixed nodes follows the floats.
    assert operators[-6:] == ["Mul", "Add", "Round", "Clip", "Transpose", "Cast"]
    assert set(operators[:-6]) <= {"Gemm", "Unsqueeze", "Mul", "ConvTranspose", "LeakyRelu", "Relu", "Tanh"}
    weights = sum(parameter.numel() for parameter in made.deployable.parameters()) * 4
    # 14 to 50 KB beyond the weights with the traces that are stripped, so far less without.
    assert weights < len(made.model.SerializeToString()) < weights + 8_000


@pytest.mark.parametrize("name", ["tiny", "tiny-dcgan"])
@pytest.mark.parametrize("batch", [1, 2, 5, 17])
def test_batch_is_free(exported: Any, name: str, batch: int) -> None:
    made = exported(name)
    session = open_session(made.model.SerializeToString(), find_provider("cpu"))
    z = np.random.default_rng(0).standard_normal((17, made.config.z_dim), dtype=np.float32)
    (images,) = session.run(None, {"z": z[:batch]})
    (all_images,) = session.run(None, {"z": z})
    assert images.shape == (batch, made.config.size, made.config.size, 3)
    # The same pictures in any batch, but for values on the border of two levels.
    assert np.abs(images.astype(int) - all_images[:batch]).max() <= 1


def test_copies_leave_the_model_alone(exported: Any) -> None:
    model = exported("tiny").model
    before = model.SerializeToString()
    assert [output.name for output in with_floats(model).graph.output] == ["images", FLOATS]
    assert [port.name for port in quantiser(model).graph.input] == [FLOATS]
    assert with_props(model, {"a": "b"}).metadata_props[0].key == "a"
    assert model.SerializeToString() == before


@pytest.mark.parametrize("name", NAMES)
def test_tells_nothing_about_the_machine(exported: Any, name: str) -> None:
    model = exported(name).model
    data = model.SerializeToString()
    for trace in (str(ROOT), sys.prefix, str(Path.home()) + "/", "site-packages", 'File "', "Traceback", "trainface/"):
        assert trace.encode() not in data, trace
    assert re.findall(rb"(?:/[A-Za-z0-9_.-]{2,}){3,}", data) == []
    assert all(not node.metadata_props and not node.doc_string for node in model.graph.node)


def test_record_survives_the_file(exported: Any, tmp_path: Path) -> None:
    card = ModelCard(
        architecture="normfree",
        resolution=16,
        z_dim=8,
        preparation=Preparation(size=16),
        dataset='faces "of" Zoë',
        images_seen=400,
        licence="CC BY 4.0",
        checkpoint_sha256="ab" * 32,
        parity={"rows": [{"max_delta": 1.25e-6}]},
    )
    path = tmp_path / "gen.onnx"
    onnx.save(with_props(exported("tiny").model, card.to_props()), path)
    props = {prop.key: prop.value for prop in onnx.load(path).metadata_props}
    assert ModelCard.from_props(props) == card


def _shape(port: onnx.ValueInfoProto) -> list[int | str]:
    return [side.dim_param or side.dim_value for side in port.type.tensor_type.shape.dim]
