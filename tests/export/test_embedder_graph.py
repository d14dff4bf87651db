"""Any embedder with its preparation in front of it gives what training saw: the vectors of its own file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from evalface.embedder import open_embedder
from exportface.embedder_graph import resize_matrix, with_preparation
from exportface.given_embedder import open_given
from genface.errors import UserError
from genface.providers import find_provider, open_session

FACES: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
DIM = 5
# One matrix product in another place of the sum, and a division: float32's rounding of numbers of about this size.
CLOSE = 1e-5


def write_embedder(
    path: Path,
    *,
    size: int = 12,
    batch: int | str = "N",
    layout: str = "NCHW",
    opset: int = 17,
    told: dict[str, Any] | None = None,
    names: Sequence[str] = ("data", "fc1"),
    pooled: bool = False,
    weights_as_inputs: bool = False,
) -> Path:
    """A random linear map of the pixels, written as old and new exporters write it."""
    taken, given = names
    rng = np.random.default_rng(1)
    weight = rng.standard_normal((DIM, 3, size, size)).astype(np.float32) / size
    scale = rng.standard_normal((DIM, 1, 1)).astype(np.float32)
    shape: list[int | str] = [batch, 3, size, size] if layout == "NCHW" else [batch, size, size, 3]
    nodes = [helper.make_node("Transpose", [taken], ["planes"], perm=[0, 3, 1, 2])] if layout == "NHWC" else []
    pixels = "planes" if nodes else taken
    nodes += [
        helper.make_node("Conv", [pixels, "weight"], ["sums"], kernel_shape=[size, size]),
        # ONNX Runtime has no product of before operator set 7.
        helper.make_node(
            *(("Mul", ["sums", "scale"]) if opset >= 7 else ("Relu", ["sums"])), [given if pooled else "scaled"]
        ),
    ]
    if not pooled:
        nodes.append(helper.make_node("Flatten", ["scaled"], [given], axis=1))
    tensors = [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(scale, "scale")]
    ports = [helper.make_tensor_value_info(taken, TensorProto.FLOAT, shape)]
    if weights_as_inputs:
        ports += [helper.make_tensor_value_info(one.name, TensorProto.FLOAT, one.dims) for one in tensors]
    vector: list[int | str] = [batch, DIM, 1, 1] if pooled else [batch, DIM]
    out = helper.make_tensor_value_info(given, TensorProto.FLOAT, vector)
    for node in nodes:
        node.doc_string = 'File "somebody/train.py", line 3'
    graph = helper.make_graph(nodes, "recogniser", ports, [out], tensors)
    ir_version = 3 if weights_as_inputs else 8
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    if told is not None:
        helper.set_model_props(model, {"genface.embedder": json.dumps(told)})
    onnx.save(model, path)
    return path


def encode(model: onnx.ModelProto, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
    onnx.checker.check_model(model, full_check=True)
    session = open_session(model.SerializeToString(), find_provider("cpu"))
    batch = len(faces) if model.graph.input[0].type.tensor_type.shape.dim[0].dim_param else 1
    parts = [faces[at : at + batch] for at in range(0, len(faces), batch)]
    return np.concatenate([session.run(["codes"], {"photos": part})[0] for part in parts])


def shape_of(port: onnx.ValueInfoProto) -> list[int | str]:
    return [side.dim_param or side.dim_value for side in port.type.tensor_type.shape.dim]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"layout": "NHWC"},
        {"batch": 1},
        {"pooled": True},
        {"size": 16},
        {"size": 23},
        {"told": {"mean": [100, 110.5, 120], "std": [50, 60, 70]}},
        {"told": {"range": "0:255", "title": "A recogniser"}, "layout": "NHWC"},
        {"opset": 7},
        {"opset": 11, "weights_as_inputs": True},
        {"opset": 21},
        {"opset": 6},
        {"names": ("photos", "codes")},
        {"names": ("preparation/1", "preparation/vectors")},
        {"names": ("codes", "photos"), "pooled": True, "batch": 1},
    ],
    ids=str,
)
def test_codes_are_the_vectors_of_the_embedders_own_file(tmp_path: Path, options: dict[str, Any]) -> None:
    path = write_embedder(tmp_path / "face.onnx", **options)
    embedder = open_embedder(path, threads=1)
    given = onnx.load(path)
    model = with_preparation(given, embedder.spec, dim=embedder.dim, size=16)
    assert given == onnx.load(path), "what was given is left alone"
    batch = options.get("batch", "N")
    (photos,), (codes,) = model.graph.input, model.graph.output
    assert (photos.name, shape_of(photos)) == ("photos", [batch, 16, 16, 3])
    assert (codes.name, shape_of(codes)) == ("codes", [batch, DIM])
    vectors = embedder.embed(FACES)
    assert vectors.std() > 0.05
    np.testing.assert_allclose(encode(model, FACES), vectors, atol=CLOSE * np.abs(vectors).max())
    data = model.SerializeToString()
    assert b"somebody" not in data
    assert b"genface.embedder" not in data


def test_bodies_of_branches_are_renamed_and_stripped_too(tmp_path: Path) -> None:
    """A branch reads a tensor of the graph around it whose name is taken."""
    values = {"photos": np.arange(DIM, dtype=np.float32), "zero": np.zeros(1, dtype=np.float32)}
    branches = []
    for name, operator in (("then", "Add"), ("else", "Sub")):
        node = helper.make_node(operator, ["flat", "photos"], [f"{name}_out"], doc_string="somebody/x.py")
        out = helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, None)
        branches.append(helper.make_graph([node], name, [], [out]))
    nodes = [
        helper.make_node("GlobalAveragePool", ["data"], ["means"]),
        helper.make_node("Flatten", ["means"], ["three"]),
        helper.make_node("Concat", ["three", "pair"], ["flat"], axis=1),
        helper.make_node("ReduceSum", ["data"], ["total"], keepdims=0),
        helper.make_node("Greater", ["total", "zero"], ["bright"]),
        helper.make_node("Squeeze", ["bright"], ["flag"]),
        helper.make_node("If", ["flag"], ["fc1"], then_branch=branches[0], else_branch=branches[1]),
    ]
    values["pair"] = np.ones((1, 2), dtype=np.float32)
    graph = helper.make_graph(
        nodes,
        "branching",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("fc1", TensorProto.FLOAT, [1, DIM])],
        [numpy_helper.from_array(array, name) for name, array in values.items()],
    )
    path = tmp_path / "face.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    embedder = open_embedder(path, threads=1)
    model = with_preparation(onnx.load(path), embedder.spec, dim=DIM, size=16)
    dark = np.zeros_like(FACES[:1])
    for faces in (FACES[:1], dark, 255 - dark):
        np.testing.assert_allclose(encode(model, faces), embedder.embed(faces), atol=CLOSE)
    assert b"somebody" not in model.SerializeToString()


def test_several_photos_at_a_time_and_no_other_number_are_refused(tmp_path: Path) -> None:
    embedder = open_embedder(write_embedder(tmp_path / "face.onnx", batch=4), threads=1)
    with pytest.raises(UserError, match="takes 4 pictures at a time, and photos are encoded one by one"):
        with_preparation(onnx.load(embedder.path), embedder.spec, dim=DIM, size=16)


def test_what_cannot_be_joined_is_told_in_one_line(tmp_path: Path) -> None:
    embedder = open_embedder(write_embedder(tmp_path / "face.onnx"), threads=1)
    model = onnx.load(embedder.path)
    model.graph.input[0].name = "other"
    with pytest.raises(UserError, match="cannot be joined with resize and normalisation") as refused:
        with_preparation(model, embedder.spec, dim=DIM, size=16)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("before", "after"), [(16, 12), (16, 16), (16, 40), (64, 7)])
def test_a_resize_keeps_what_is_flat_and_its_mirror_image(before: int, after: int) -> None:
    matrix = resize_matrix(before, after)
    assert matrix.shape == (after, before)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(matrix, matrix[::-1, ::-1], atol=1e-6)
    if after == before:
        np.testing.assert_array_equal(matrix, np.eye(before, dtype=np.float32))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, {}),
        ({}, {"value_range": "0:1"}),
        ({}, {"value_range": "-0.3:2.7"}),
        ({"told": {"mean": [1, 2, 3], "std": [4, 5, 6]}}, {}),
        ({"told": {"mean": [127, 127, 127], "std": [128, 128, 128]}}, {}),
        ({"told": {"range": "0:255"}}, {"size": 12}),
    ],
    ids=str,
)
def test_what_was_said_in_training_need_not_be_said_again(
    tmp_path: Path, options: dict[str, Any], said: dict[str, Any]
) -> None:
    path = write_embedder(tmp_path / "face.onnx", **options)
    then = open_embedder(path, threads=1, **said)
    np.testing.assert_allclose(open_given(path, then.facts).embed(FACES), then.embed(FACES), rtol=1e-6)


def test_another_embedder_is_refused(tmp_path: Path) -> None:
    facts = open_embedder(write_embedder(tmp_path / "face.onnx"), threads=1).facts
    other = write_embedder(tmp_path / "other.onnx", size=32)
    with pytest.raises(UserError, match=r"other\.onnx: is not the embedder that the mixer learned from, face\.onnx"):
        open_given(other, facts)
    with pytest.raises(UserError, match="no such file"):
        open_given(tmp_path / "none.onnx", facts)
    with pytest.raises(UserError, match="would be fed otherwise than in training"):
        open_given(tmp_path / "face.onnx", facts | {"mean": [1.0, 2.0, 3.0]})
