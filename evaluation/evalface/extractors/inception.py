"""FID's own features: the 2048 numbers of the 2015 Inception network."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from evalface.extractors.base import NetworkExtractor
from evalface.extractors.inception_network import InceptionNetwork
from evalface.extractors.inception_weights import OFFICIAL_SHA256
from evalface.extractors.resize import resize_half_pixel, resize_tf1
from evalface.files import sha256_of
from genface.errors import UserError

Protocol = Literal["tf1", "pytorch-fid"]

_SIDE = 299
_PROTOCOLS: dict[Protocol, str] = {
    "tf1": "tf1: bilinear to 299 without half pixel, (x - 128) / 128 (TTUR, torch-fidelity)",
    "pytorch-fid": "pytorch-fid: half-pixel bilinear to 299, no antialias, 2x / 255 - 1",
}


class Inception(NetworkExtractor):
    """Inception by a weights' file of the published form; named FID only for the official bytes.

    Raises UserError when the file is no such file.
    """

    name = "inception"
    title = "Inception"
    version = 1

    def __init__(self, weights: Path, protocol: Protocol = "tf1") -> None:
        if protocol not in _PROTOCOLS:
            raise UserError(f"unknown protocol {protocol!r}; known: {', '.join(_PROTOCOLS)}")
        self._resize = protocol
        self.protocol = _PROTOCOLS[protocol]
        self.weights_sha256 = sha256_of(weights)
        self.official = self.weights_sha256 == OFFICIAL_SHA256
        variant = "" if protocol == "tf1" else f", {protocol} resize"
        self.distance_name = (
            f"FID (Inception{variant})"
            if self.official
            else f"Frechet distance (Inception{variant}, weights sha256 {self.weights_sha256})"
        )
        super().__init__(_load(weights))

    def _forward(self, pixels: torch.Tensor) -> torch.Tensor:
        if self._resize == "tf1":
            x = resize_tf1(pixels, _SIDE).sub_(128).div_(128)
        else:
            # Scaled before the resize as pytorch-fid does it, so that the two agree to the last bits.
            x = resize_half_pixel(pixels.float() / 255, _SIDE, antialias=False).mul_(2).sub_(1)
        features: torch.Tensor = self._network(x.permute(0, 3, 1, 2))
        return features


def _load(weights: Path) -> InceptionNetwork:
    network = InceptionNetwork()
    try:
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except Exception as error:
        # torch raises whatever the file leads to: UnpicklingError, RuntimeError, KeyError, EOFError, TypeError ...
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"{weights}: not Inception weights in the form of pt_inception-2015-12-05-6726825d.pth ({reason[:200]})"
        ) from error
    network.fold()
    return network
