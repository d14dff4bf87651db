"""What runs an extractor's network: ONNX Runtime on a CPU where it is installed, else torch.

Seconds of processor for 64 px pictures on an AMD EPYC with avx512_bf16, fp32, one thread a run: ONNX Runtime's default
provider takes Inception at 1.5 times the rate of torch with folded batch norms and channels last, Lite0 at 2.5 to 3.5
times. It computes no bf16, so that is torch's: 1.5 times ONNX Runtime's fp32 for Inception, no gain for Lite0.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from genface.errors import UserError
from genface.providers import Precision, Provider, find_provider, onnx_runtime, open_session

_PROVIDERS = ("openvino", "cpu")
"""In the order of preference. OpenVINO's plugin serves Intel's processors alone."""
_TOLERANCE = {"fp32": 1e-3, "bf16": 1e-1}
"""Largest difference from torch's fp32 features, as a share of the largest feature. Two orders of sums differ by 1e-6,
by 1e-4 in a random network that is shown noise; bf16 differs by 1e-2."""
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """One way to run a network."""

    name: str
    """Library, version and, for ONNX Runtime, provider: another one changes a feature's last bits."""
    run: Callable[[torch.Tensor], NDArray[np.float32]]
    """float32 [N, 3, H, W] on the device -> float32 [N, d]; several threads may call it at once."""


def open_runtime(
    network: nn.Module, side: int, device: str, precision: Precision, *, batch: int, as_graph: bool
) -> Runtime:
    """The fastest runtime that is here for `network`: float32 [N, 3, side, side] -> [N, d], N at most `batch`.

    With `as_graph` ONNX Runtime is asked first on a CPU. A provider is passed over unless its features of one picture
    are torch's within `_TOLERANCE`.
    """
    plain = _in_torch(network, device, "fp32", batch)
    if device == "cpu" and as_graph and (providers := _providers(precision)):
        from evalface.extractors.onnx_graph import to_onnx

        graph = to_onnx(network, side)
        # Smooth, as pictures are: noise all but cancels in deep layers, and rounding is what is left of it.
        coarse = torch.rand(1, 3, 5, 5, generator=torch.Generator().manual_seed(0)) * 2 - 1
        probe = F.interpolate(coarse, size=(side, side), mode="bilinear")
        expected = plain.run(probe)
        for provider in providers:
            with suppress(UserError):
                found = _in_onnx_runtime(graph, provider)
                difference = np.abs(found.run(probe) - expected).max()
                if difference <= _TOLERANCE[precision] * np.abs(expected).max():
                    return found
    return plain if precision == "fp32" else _in_torch(network, device, precision, batch)


def _providers(precision: Precision) -> list[Provider]:
    """Those of `_PROVIDERS` that are installed and compute in `precision`."""
    found = []
    for name in _PROVIDERS:
        with suppress(UserError):
            found.append(find_provider(name, precision))
    return found


def _in_onnx_runtime(graph: bytes, provider: Provider) -> Runtime:
    session = open_session(graph, provider)
    name = session.get_inputs()[0].name

    def run(x: torch.Tensor) -> NDArray[np.float32]:
        features: NDArray[np.float32] = session.run(None, {name: x.contiguous().numpy()})[0]
        return features

    versions = "".join(f", {part} {version}" for part, version in provider.versions.items())
    return Runtime(name=f"onnxruntime {onnx_runtime().__version__} {provider.name}{versions}", run=run)


def _in_torch(network: nn.Module, device: str, precision: Precision, batch: int) -> Runtime:
    """Channels last, which oneDNN and cuDNN both want; `network` itself is moved and converted.

    Batches are filled up to `batch` pictures: oneDNN and cuDNN choose their way of summing by the size.
    """
    dtype = _DTYPES[precision]
    network.to(device, dtype).to(memory_format=torch.channels_last)

    def run(x: torch.Tensor) -> NDArray[np.float32]:
        # TF32 would keep ten bits of the mantissa, enough to move a distance's third digit.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            full = F.pad(x, (0, 0) * 3 + (0, batch - len(x))).to(dtype, memory_format=torch.channels_last)
            y: torch.Tensor = network(full)[: len(x)]
        return y.float().cpu().numpy()

    return Runtime(name=f"torch {torch.__version__}", run=run)
