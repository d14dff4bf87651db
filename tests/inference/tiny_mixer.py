"""A mixer whose codes and pictures can be computed by hand; loaded by runpy."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from genface.photos import Preparation

SIZE, DIM = 8, 5
VALUES = SIZE * SIZE * 3
# Columns of length one at right angles: what the decoder draws, the encoder reads back.
BASIS = np.linalg.qr(np.random.default_rng(0).normal(size=(VALUES, DIM)))[0].astype(np.float32)
CODES = [[300.0, 0, 0, 100, 0], [0, 300, 0, 0, -100], [0, 0, 250, 50, 50]]


def graph(
    nodes: list[tuple[str, list[str], str, dict[str, Any]]],
    takes: tuple[str, int, list[int | str]],
    gives: tuple[str, int, list[int | str]],
    tensors: dict[str, Any],
) -> bytes:
    made = helper.make_graph(
        [helper.make_node(kind, inputs, [output], **options) for kind, inputs, output, options in nodes],
        "tiny",
        [helper.make_tensor_value_info(*takes)],
        [helper.make_tensor_value_info(*gives)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def encoder(*, name: str = "photos", dim: int = DIM, batch: int | str = "N", broken: bool = False) -> bytes:
    """Codes are the photo's levels less 128 along the basis; of a black photo not a number, where it is `broken`."""
    rows = [
        ("Cast", [name], "levels", {"to": TensorProto.FLOAT}),
        ("Sub", ["levels", "middle"], "centred", {}),
        ("Reshape", ["centred", "flat"], "rows", {}),
        ("MatMul", ["rows", "basis"], "dots", {}),
        ("ReduceMax", ["levels", "sides"], "brightest", {"keepdims": 1}),
        ("Reshape", ["brightest", "column"], "divisor", {}),
        ("Div", ["divisor", "divisor" if broken else "one"], "ones", {}),
        *([("Mul", ["dots", "ones"], "codes", {})] if broken else [("Identity", ["dots"], "codes", {})]),
    ]
    tensors = {
        "middle": np.float32(128),
        "one": np.float32(1),
        "flat": np.array([-1, VALUES]),
        "column": np.array([-1, 1]),
        "sides": np.array([1, 2, 3]),
        "basis": BASIS[:, :dim],
    }
    takes = (name, TensorProto.UINT8, [batch, SIZE, SIZE, 3])
    return graph(rows, takes, ("codes", TensorProto.FLOAT, [batch, dim]), tensors)


def decoder(*, batch: int | str = "N", output: str = "images", scale: float = 1) -> bytes:
    rows = [
        ("MatMul", ["codes", "basis"], "rows", {}),
        ("Add", ["rows", "middle"], "levels", {}),
        ("Clip", ["levels", "least", "most"], "clipped", {}),
        ("Round", ["clipped"], "rounded", {}),
        ("Reshape", ["rounded", "square"], "pictures", {}),
        ("Cast", ["pictures"], output, {"to": TensorProto.UINT8}),
    ]
    tensors = {
        "middle": np.float32(128),
        "least": np.float32(0),
        "most": np.float32(255),
        "square": np.array([-1, SIZE, SIZE, 3]),
        "basis": np.float32(scale) * BASIS.T,
    }
    gives = (output, TensorProto.UINT8, [batch, SIZE, SIZE, 3])
    return graph(rows, ("codes", TensorProto.FLOAT, [batch, DIM]), gives, tensors)


def drawn(code: list[float]) -> NDArray[np.uint8]:
    levels = 128 + BASIS @ np.array(code, dtype=np.float32)
    return np.rint(levels.clip(0, 255)).astype(np.uint8).reshape(SIZE, SIZE, 3)


def save(folder: Path, encoder_bytes: bytes | None = None, decoder_bytes: bytes | None = None, **entries: Any) -> Path:
    """Write a mixer folder: other bytes of its graphs, and other entries of mixer.json (None leaves one out)."""
    folder.mkdir(exist_ok=True)
    files = {"encoder": encoder_bytes or encoder(), "decoder": decoder_bytes or decoder()}
    card: dict[str, Any] = {
        "kind": "genface-mixer",
        "format_version": 1,
        "method": "autoencoder",
        "mixing": "linear",
        "size": SIZE,
        "code_dim": DIM,
        "preparation": Preparation(size=SIZE).to_dict(),
        "dataset": "none",
        "licence": "Apache-2.0",
        "images_seen": 0,
        "checkpoint_sha256": "0" * 64,
        "parity": {},
        "held_out": None,
    }
    for name, data in files.items():
        (folder / f"{name}.onnx").write_bytes(data)
        card[name] = {"file": f"{name}.onnx", "sha256": hashlib.sha256(data).hexdigest()}
    card = {name: value for name, value in (card | entries).items() if value is not None or name == "held_out"}
    (folder / "mixer.json").write_text(json.dumps(card))
    return folder
