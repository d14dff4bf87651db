"""Embedders and mixers whose answers are known: their numbers are the pixels. Loaded by runpy."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 8
VALUES = SIZE * SIZE * 3


def graph(nodes: list[Any], takes: Any, gives: Any, constants: dict[str, Any], metadata: dict[str, str]) -> bytes:
    made = helper.make_graph(
        [helper.make_node(kind, inputs, [output], **options) for kind, inputs, output, options in nodes],
        "tiny",
        [helper.make_tensor_value_info(*takes)],
        [helper.make_tensor_value_info(*gives)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def embedder(
    *,
    shape: tuple[Any, ...] = ("N", 3, SIZE, SIZE),
    pooled: bool = False,
    record: dict[str, Any] | str | None = None,
    divide: float = 1.0,
) -> bytes:
    """The vector is the input itself, flattened, by `divide`; `pooled`: the mean of each channel, [N, 3, 1, 1]."""
    flat = ("Flatten", ["image"], "flat", {})
    nodes = [("GlobalAveragePool", ["image"], "flat", {})] if pooled else [flat]
    gives = ["N", 3, 1, 1] if pooled else ["N", "D"]
    text = record if isinstance(record, str) else json.dumps(record)
    return graph(
        [*nodes, ("Div", ["flat", "divisor"], "vector", {})],
        ("image", TensorProto.FLOAT, list(shape)),
        ("vector", TensorProto.FLOAT, gives),
        {"divisor": np.float32(divide)},
        {} if record is None else {"genface.embedder": text},
    )


def mixer(folder: Path, *, held_out: list[str] | None = None, embedder_sha256: str | None = None, **card: Any) -> Path:
    """A linear mixer whose codes are the levels, so that a child is the pixel average of its parents."""
    encoder = graph(
        [("Cast", ["photos"], "levels", {"to": TensorProto.FLOAT}), ("Flatten", ["levels"], "codes", {})],
        ("photos", TensorProto.UINT8, ["N", SIZE, SIZE, 3]),
        ("codes", TensorProto.FLOAT, ["N", VALUES]),
        {},
        {},
    )
    decoder = graph(
        [
            ("Round", ["codes"], "whole", {}),
            ("Clip", ["whole", "low", "high"], "cut", {}),
            ("Cast", ["cut"], "bytes", {"to": TensorProto.UINT8}),
            ("Reshape", ["bytes", "shape"], "images", {}),
        ],
        ("codes", TensorProto.FLOAT, ["N", VALUES]),
        ("images", TensorProto.UINT8, ["N", SIZE, SIZE, 3]),
        {"low": np.float32(0), "high": np.float32(255), "shape": np.array([-1, SIZE, SIZE, 3])},
        {},
    )
    folder.mkdir()
    record: dict[str, Any] = {
        "kind": "genface-mixer",
        "format_version": 1,
        "method": "embedding" if embedder_sha256 else "autoencoder",
        "mixing": "linear",
        "size": SIZE,
        "code_dim": VALUES,
        "preparation": {"size": SIZE, "crop": "center", "resample": "lanczos"},
        "dataset": "tiny",
        "licence": "CC0-1.0",
        "images_seen": 1000,
        "checkpoint_sha256": "0" * 64,
        "parity": {},
        "held_out": None if held_out is None else {"rule": "by name", "identities": held_out},
        "embedder": {"sha256": embedder_sha256, "title": "tiny"} if embedder_sha256 else None,
    }
    for name, data in (("encoder", encoder), ("decoder", decoder)):
        (folder / f"{name}.onnx").write_bytes(data)
        record[name] = {"file": f"{name}.onnx", "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "mixer.json").write_text(json.dumps(record | card))
    return folder
