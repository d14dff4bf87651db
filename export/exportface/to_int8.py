"""Convolutions in 8 bits by ONNX Runtime's own static quantisation, as far as the pictures bear it."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from exportface.drawn import Drawn
from exportface.rewrites import with_plain_convolutions
from exportface.to_fp16 import to_fp16
from exportface.to_onnx import FLOATS, LATENT
from genface.errors import UserError
from genface.latents import latents
from genface.providers import onnx_runtime

MAX_MEAN_ERROR = 2.5
"""Largest mean difference from the fp32 pictures, in levels of 255."""
SEED = 20_231_110
"""Seed of the latents that ranges and errors are measured on: neither a training run's nor the parity check's."""

# The layer that reads the latent is no convolution, and stays in float: a range cuts the latents' extremes. Quantised
# too, it moved the worst of 512 pictures by 9.6 levels in place of 3.2.
_QUANTISED = "Conv"
# What stands between the convolutions of a rewritten layer and the next one; in 8 bits it moves a quarter of the bytes.
_CARRIERS = {"Concat", "DepthToSpace", "LeakyRelu", "Relu"}
# Ranges are the means over small batches of their extremes: of larger ones, rare extremes would make the steps coarse
# for all pictures, and of single pictures, too many numbers would be cut.
_BATCH, _BATCHES = 4, 64
_ERROR_IMAGES = 64


@dataclass(frozen=True, kw_only=True)
class Int8:
    """A quantised generator, and what was found on the way to it."""

    model: onnx.ModelProto
    mean_error: float
    """Mean difference of its pictures from fp32's, in levels of 255."""
    alone: Mapping[str, float]
    """Layer to the mean error when it alone is quantised, the worst first; empty where all together were within the
    bound."""
    in_float: tuple[str, ...]
    """Convolutions left in float: one that gives the last float tensor, then the worst of `alone`."""


def to_int8(model: onnx.ModelProto, z_dim: int, say: Callable[[str], None]) -> Int8:
    """Quantise the convolutions of a generator from `to_onnx`: QDQ, activations U8, weights S8 per output channel.

    Transposed ones would run in fp32 between their QDQ pairs, so they are rewritten first. Layers stay in float, the
    one first that does most harm alone, until the mean error is within `MAX_MEAN_ERROR`; and one whose output is the
    last float tensor does so always, since that tensor must not lie on 256 steps. What stays in float is stored as
    fp16. `say` gets a line per stage.

    Raises UserError when no layer can be quantised within the bound.
    """
    plain = _prepared(model)
    layers = _layers(plain)
    in_float = [layer for layer, nodes in layers.items() if any(FLOATS in node.output for node in nodes)]
    left = [layer for layer in layers if layer not in in_float]
    with tempfile.TemporaryDirectory(prefix="exportface-") as folder:
        quantiser = _Quantiser(plain, layers, z_dim, Path(folder))
        say(f"quantising {len(left)} layers by the ranges of {_BATCH * _BATCHES} pictures")
        quantised, error = quantiser.quantise(left)
        alone: dict[str, float] = {}
        if error > MAX_MEAN_ERROR:
            say(f"mean error {error:.2f} levels, allowed {MAX_MEAN_ERROR:g}: looking for the layers that do most harm")
            alone = {layer: quantiser.quantise([layer])[1] for layer in left}
            left.sort(key=alone.__getitem__)
        while error > MAX_MEAN_ERROR:
            in_float.append(left.pop())
            if not left:
                raise UserError(
                    f"int8 moves this generator's pictures by more than {MAX_MEAN_ERROR:g} levels in the mean,"
                    " whichever layer is left in float: take fp16"
                )
            quantised, error = quantiser.quantise(left)
            say(f"{in_float[-1]} stays in float: mean error {error:.2f} levels")
    ranked = dict(sorted(alone.items(), key=lambda item: item[1], reverse=True))
    return Int8(model=quantised, mean_error=error, alone=ranked, in_float=tuple(in_float))


class _Quantiser:
    """Quantises any choice of layers of one graph, and measures what it does to the pictures; calibrates once."""

    def __init__(
        self, model: onnx.ModelProto, layers: Mapping[str, list[onnx.NodeProto]], z_dim: int, folder: Path
    ) -> None:
        self._model, self._layers, self._z_dim, self._folder = model, layers, z_dim, folder
        # By its file: a graph given in memory is altered.
        onnx.save(model, folder / "plain.onnx")
        self._z = latents(SEED, range(_ERROR_IMAGES), z_dim)
        self._expected = _draw(model, self._z)

    def quantise(self, layers: Sequence[str]) -> tuple[onnx.ModelProto, float]:
        """The graph with these layers, at least one, in 8 bits; and its mean error in levels."""
        assert layers, "to ONNX Runtime an empty list means every node"
        onnx_runtime()  # says how to get it, where it is missing
        tools: Any = importlib.import_module("onnxruntime.quantization")
        path = self._folder / "quantised.onnx"
        tools.quantize_static(
            self._folder / "plain.onnx",
            path,
            _Calibration(self._z_dim),
            quant_format=tools.QuantFormat.QDQ,
            activation_type=tools.QuantType.QUInt8,
            weight_type=tools.QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=[_QUANTISED, *sorted(_CARRIERS)],
            nodes_to_quantize=[node.name for layer in layers for node in self._layers[layer]],
            extra_options={"CalibMovingAverage": True},
            calibration_cache_path=self._folder / "ranges.json",
        )
        quantised = to_fp16(onnx.load(path))
        del quantised.metadata_props[:], quantised.graph.value_info[:]
        quantised.producer_name, quantised.producer_version = self._model.producer_name, self._model.producer_version
        onnx.checker.check_model(quantised, full_check=True)
        return quantised, float(np.abs(_draw(quantised, self._z) - self._expected).mean())


class _Calibration:
    """Feeds the latents behind those of the error, as an `onnxruntime.quantization.CalibrationDataReader`."""

    def __init__(self, z_dim: int) -> None:
        self._feeds: Iterator[dict[str, NDArray[np.float32]]] = (
            {LATENT: latents(SEED, range(start, start + _BATCH), z_dim)}
            for start in range(_ERROR_IMAGES, _ERROR_IMAGES + _BATCH * _BATCHES, _BATCH)
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._feeds, None)


def _prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without transposed convolutions whose convolutions are named by their weights."""
    plain = with_plain_convolutions(model)
    for number, node in enumerate(plain.graph.node):
        if "/" not in node.name:
            node.name = node.input[1].removesuffix(".weight") if node.op_type == _QUANTISED else f"node {number}"
    # What ONNX Runtime's own preparation leaves behind; its optimisations are already made, and it would ask for them.
    onnx.helper.set_model_props(plain, {"onnx.quant.pre_process": "onnxruntime.quant"})
    return plain


def _layers(model: onnx.ModelProto) -> dict[str, list[onnx.NodeProto]]:
    """Layer to the nodes that are quantised with it, from the latent to the pictures."""
    layers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        if node.op_type == _QUANTISED or ("/" in node.name and node.op_type in _CARRIERS):
            layers.setdefault(node.name.split("/")[0], []).append(node)
    # Behind the last convolution pictures are in the making, and the last float tensor may not lie on 256 steps.
    last = next(reversed(layers))
    layers[last] = [node for node in layers[last] if node.op_type == _QUANTISED]
    return layers


def _draw(model: onnx.ModelProto, z: NDArray[np.float32]) -> NDArray[np.int16]:
    """Pictures wide enough to be subtracted."""
    return Drawn(model).draw(z).astype(np.int16)
