"""Files that are no model or a damaged one, and graphs that betray themselves when they run."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T

from genface.errors import UserError
from genface.model import Generator
from genface.photos import Preparation

SaveVariant = Callable[..., Path]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello, I am no model\n" * 20, "ONNX Runtime cannot load it"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "ONNX Runtime cannot load it"),
        (b"PK\x03\x04" + bytes(100), "exportface"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
        (b"<!DOCTYPE html><html></html>", "web page"),
    ],
)
def test_files_that_are_no_model(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "gen.onnx"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"gen\.onnx: .*{message}"):
        Generator(path)


@pytest.mark.parametrize("keep", [1, 100, 3000, -1])
def test_a_truncated_model(tiny: Path, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "gen.onnx"
    path.write_bytes(tiny.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"gen\.onnx: "):
        Generator(path)


def test_missing_model_and_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        Generator(tmp_path / "gen.onnx")
    with pytest.raises(UserError, match="is a folder"):
        Generator(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gen.onnx")
    with pytest.raises(UserError, match="not a regular file"):
        Generator(tmp_path / "gen.onnx")


@pytest.mark.parametrize("per_tensor", [False, True])
def test_weights_in_another_file_are_refused(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, per_tensor: bool
) -> None:
    place = {"all_tensors_to_one_file": not per_tensor, "location": None if per_tensor else "weights/gen.data"}
    (tmp_path / "weights").mkdir()
    path = tmp_path / "gen.onnx"
    onnx.save(onnx.load(tiny), path, save_as_external_data=True, size_threshold=1000, **place)
    monkeypatch.chdir(tmp_path)
    beside = "linear" if per_tensor else "weights/gen.data"
    with pytest.raises(UserError, match=rf"a file of their own, '{beside}'.*; genface takes one file: join") as raised:
        Generator("gen.onnx")
    exec(str(raised.value).split(" by ", 1)[1], {"onnx": onnx})  # what the message tells to do
    assert Generator("gen-whole.onnx").info.width == 16
    (tmp_path / beside).unlink()
    with pytest.raises(UserError, match=rf"'{beside}' is missing beside it"):
        Generator("gen.onnx")


# Metadata and names


@pytest.mark.parametrize("name", [b"images", b"psi_name", b"C_name"])
def test_names_that_are_no_text(save_variant: SaveVariant, name: bytes) -> None:
    path = save_variant(card=None, latent_tail=("C_name",), scalars={"psi_name": (T.FLOAT, [])})
    path.write_bytes(path.read_bytes().replace(name, b"\xff" + name[1:]))
    with pytest.raises(UserError, match=r"variant\.onnx: is damaged: it names an input or output by bytes"):
        Generator(path, inputs={"psi_name": 0})


@pytest.mark.parametrize("change", [{"z_dim": 9}, {"resolution": 32}, {"preparation": Preparation(size=32)}])
def test_metadata_that_contradicts_the_graph(
    save_variant: SaveVariant, tiny_maker: dict[str, Any], change: dict[str, Any]
) -> None:
    with pytest.raises(UserError, match=r"metadata says .*export it again"):
        Generator(save_variant(card=replace(tiny_maker["CARD"], **change)))


def test_metadata_that_is_no_text(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "gen.onnx"
    graph = tiny.read_bytes()
    assert graph.count(b"none, random weights") == 1
    path.write_bytes(graph.replace(b"none, random weights", b"n\xffne, random weights"))
    with pytest.raises(UserError, match=r"gen\.onnx: its metadata is damaged: .*not UTF-8"):
        Generator(path)


# What shows when it runs


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A graph of one-coloured pictures [N, k, k * 8, 8], where k is a further input."""
    make, info = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    nodes = [
        make("ReduceMean", ["z", "one"], ["mean"], keepdims=1),
        make("Reshape", ["mean", "pixel"], ["pixels"]),
        make("Mul", ["k", "eight"], ["height"]),
        make("Concat", ["one", "k", "height", "eight"], ["sides"], axis=0),
        make("Expand", ["pixels", "sides"], ["images"]),
    ]
    tensors = {"one": [1], "pixel": [-1, 1, 1, 1], "eight": [8]}
    graph = onnx.helper.make_graph(
        nodes,
        "plain",
        [info("z", T.FLOAT, ["N", 4]), info("k", T.INT64, [1])],
        [info("images", T.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.array(value), name) for name, value in tensors.items()],
    )
    path = tmp_path / "gen.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9), path)
    return path


def test_shapes_that_show_when_it_runs(plain: Path) -> None:
    colour = Generator(plain, inputs={"k": 3}, value_range="-1:1")
    assert colour.info.contract.picture_shape == (3, 24, 8)
    with pytest.raises(UserError, match=r"gives no pictures: images of shape \[16, 4, 32, 8\]"):
        Generator(plain, inputs={"k": 4})


def test_memory_that_runs_out_while_drawing(plain: Path) -> None:
    """2^53 numbers a picture, more than a process can address."""
    with pytest.raises(UserError, match=r"gen\.onnx: out of memory while drawing .*fewer threads"):
        Generator(plain, inputs={"k": 1 << 25})


def test_a_block_beyond_all_measure(save_variant: SaveVariant) -> None:
    with pytest.raises(UserError, match="takes 1,099,511,627,776 latents of 8 numbers at a time"):
        Generator(save_variant(card=None, batch=1 << 40))
    with pytest.raises(UserError, match="takes 16 latents of 1,099,511,627,776 numbers at a time"):
        Generator(save_variant(card=None, latent_tail=("C",)), z_dim=1 << 40)


def test_values_that_are_not_finite(save_variant: SaveVariant) -> None:
    path = save_variant("float -1 to 1", card=None)
    model = onnx.load(path)
    (up,) = (tensor for tensor in model.graph.initializer if tensor.name == "up")
    up.CopyFrom(onnx.numpy_helper.from_array(np.full((8, 3, 4, 4), np.nan, dtype=np.float32), "up"))
    onnx.save(model, path)
    with pytest.raises(UserError, match="not finite"):
        Generator(path)
