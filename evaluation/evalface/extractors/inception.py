"""FID's own features: the 2048 numbers of the 2015 Inception network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch

from evalface.extractors.base import NetworkExtractor
from evalface.extractors.inception_network import InceptionNetwork
from evalface.extractors.inception_weights import OFFICIAL_SHA256
from evalface.extractors.resize import resize_clean, resize_half_pixel, resize_tf1
from evalface.extractors.state_file import not_such_weights, read_state
from genface.errors import UserError
from genface.providers import Precision

Protocol = Literal["tf1", "pytorch-fid", "clean"]

_SIDE = 299
_FORM = "Inception weights in the form of pt_inception-2015-12-05-6726825d.pth"


def _tf1(pixels: torch.Tensor) -> torch.Tensor:
    return resize_tf1(pixels, _SIDE).sub_(128).div_(128)


def _pytorch_fid(pixels: torch.Tensor) -> torch.Tensor:
    # Scaled before the resize as pytorch-fid does it, so that the two agree to the last bits.
    return resize_half_pixel(pixels.float() / 255, _SIDE, antialias=False).mul_(2).sub_(1)


def _clean(pixels: torch.Tensor) -> torch.Tensor:
    return resize_clean(pixels, _SIDE).sub_(128).div_(128)


_PROTOCOLS: dict[Protocol, tuple[str, Callable[[torch.Tensor], torch.Tensor]]] = {
    "tf1": ("bilinear to 299 without half pixel, (x - 128) / 128 (TTUR, torch-fidelity)", _tf1),
    "pytorch-fid": ("half-pixel bilinear to 299, no antialias, 2x / 255 - 1", _pytorch_fid),
    "clean": ("antialiased bicubic to 299 by Pillow in float32, cut to 0..255, (x - 128) / 128 (clean-fid)", _clean),
}


class Inception(NetworkExtractor):
    """Inception by a weights' file of the published form; named FID only for the official bytes.

    Raises UserError when the file is no such file, and for an unknown protocol or a precision that is not here.
    """

    name = "inception"
    title = "Inception"
    version = 1

    def __init__(self, weights: Path, protocol: Protocol = "tf1", precision: Precision = "fp32") -> None:
        if protocol not in _PROTOCOLS:
            raise UserError(f"unknown protocol {protocol!r}; known: {', '.join(_PROTOCOLS)}")
        self._weights, self._protocol = weights, protocol
        words, self._to_input = _PROTOCOLS[protocol]
        self.protocol = f"{protocol}: {words}"
        network, self.weights_sha256 = _load(weights)
        self.official = self.weights_sha256 == OFFICIAL_SHA256
        what = [
            "Inception",
            *([f"{protocol} resize"] if protocol != "tf1" else []),
            *([precision] if precision != "fp32" else []),
            *([f"weights sha256 {self.weights_sha256}"] if not self.official else []),
        ]
        self.distance_name = f"{'FID' if self.official else 'Frechet distance'} ({', '.join(what)})"
        super().__init__(network, _SIDE, precision, as_graph=True)

    def in_fp32(self) -> Inception:
        return Inception(self._weights, self._protocol)

    def _prepare(self, pixels: torch.Tensor) -> torch.Tensor:
        return self._to_input(pixels)


def _load(weights: Path) -> tuple[InceptionNetwork, str]:
    state, digest = read_state(weights, _FORM)
    network = InceptionNetwork()
    try:
        network.load_state_dict(state)
    except RuntimeError as error:  # missing, unexpected and misshapen entries
        raise not_such_weights(weights, _FORM, error) from error
    network.fold()
    return network, digest
