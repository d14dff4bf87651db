"""DINOv2's class token: features that were learnt without ImageNet's classes, none of which is a face.

Stein et al. 2023 (arXiv 2306.04675) found distances in them to follow people's judgement better than FID does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from evalface.extractors.base import NetworkExtractor
from evalface.extractors.dinov2_network import DinoV2Network
from evalface.extractors.resize import resize_rounded
from evalface.extractors.state_file import not_such_weights, read_state
from genface.errors import UserError
from genface.providers import Precision

_SIDE = 224
_FORM = "DINOv2 weights in the form of dinov2_vits14_pretrain.pth"
# ImageNet's colours, as torchvision gives them.
_MEAN = 255 * torch.tensor([0.485, 0.456, 0.406])
_STD = 255 * torch.tensor([0.229, 0.224, 0.225])


@dataclass(frozen=True, kw_only=True)
class Size:
    """One published network."""

    title: str
    depth: int
    file: str
    sha256: str
    """As unrelated public repositories state it for the published file. The file itself was not at hand here."""

    @property
    def url(self) -> str:
        return f"https://dl.fbaipublicfiles.com/dinov2/{self.file.removesuffix('_pretrain.pth')}/{self.file}"


SIZES = {
    384: Size(
        title="DINOv2 ViT-S/14",
        depth=12,
        file="dinov2_vits14_pretrain.pth",
        sha256="b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
    ),
    768: Size(
        title="DINOv2 ViT-B/14",
        depth=12,
        file="dinov2_vitb14_pretrain.pth",
        sha256="0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73",
    ),
    1024: Size(
        title="DINOv2 ViT-L/14",
        depth=24,
        file="dinov2_vitl14_pretrain.pth",
        sha256="d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
    ),
}
"""By the width of a token, which is that of the features."""


class DinoV2(NetworkExtractor):
    """DINOv2 without registers, S, B or L, by a file in the form of facebookresearch's; the file tells which.

    Raises UserError when the file is no such file, and for a precision that this machine does not have.
    """

    name = "dinov2"
    version = 1
    protocol = "8-bit antialiased bicubic to 224 by Pillow, ImageNet's mean and deviation (dgm-eval)"

    def __init__(self, weights: Path, precision: Precision = "fp32") -> None:
        self._weights = weights
        network, size, self.weights_sha256 = _load(weights)
        self.official = self.weights_sha256 == size.sha256
        self.title = size.title
        what = [
            size.title,
            *([precision] if precision != "fp32" else []),
            *([f"weights sha256 {self.weights_sha256}"] if not self.official else []),
        ]
        self.distance_name = f"Frechet distance ({', '.join(what)})"
        super().__init__(network, _SIDE, precision, as_graph=False)

    def in_fp32(self) -> DinoV2:
        return DinoV2(self._weights)

    def _prepare(self, pixels: torch.Tensor) -> torch.Tensor:
        return resize_rounded(pixels, _SIDE).sub_(_MEAN.to(pixels.device)).div_(_STD.to(pixels.device))


def _load(weights: Path) -> tuple[DinoV2Network, Size, str]:
    state, digest = read_state(weights, _FORM)
    width = state["cls_token"].shape[-1] if "cls_token" in state else None
    size = SIZES.get(width) if width is not None else None
    if size is None:
        sizes = ", ".join(f"{size.title} ({width})" for width, size in SIZES.items())
        raise UserError(f"{weights}: not {_FORM} (class token of width {width}; known: {sizes})")
    if "register_tokens" in state:
        raise UserError(f"{weights}: DINOv2 with registers is another network; take {size.file} ({size.url})")
    assert width is not None
    network = DinoV2Network(width, size.depth)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:  # missing, unexpected and misshapen entries
        raise not_such_weights(weights, _FORM, error) from error
    return network, size, digest
