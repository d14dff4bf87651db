"""A stylizer as one ONNX graph, and the copy of it that a parity check looks into."""

from __future__ import annotations

import math

import onnx
import torch
from onnx.utils import Extractor
from torch import Tensor, nn
from torch.export import Dim

from exportface.to_onnx import exported
from trainface.pixels import to_floats, to_levels
from trainface.style.network import MIN_SIDE, Stylizer

PHOTO, WEIGHTS, NORMS, USE_NORMS = "photo", "weights", "norms", "use_norms"
PICTURE, NORMS_OUT = "picture", "norms_out"
FLOATS = "picture_float"
"""Name, inside the graph, of the last float tensor: float32 [1, 3, H, W], about [-1, 1]."""
_MAX_SIDE = 1 << 15
# Other sides than those are exported as free ones; these are neither alike nor multiples of a stride.
_EXAMPLE = (41, 30)


class DeployableStylizer(nn.Module):
    """The stylizer with pictures as people see them; see `genface.style_card` for what the graph takes and gives."""

    def __init__(self, stylizer: Stylizer) -> None:
        super().__init__()
        self.stylizer = stylizer
        self.requires_grad_(False).eval()

    def forward(
        self, photo: Tensor, weights: Tensor, norms: Tensor, use_norms: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Uint8 [1, H, W, 3], float32 [1, K + 1], [2, L], [1] -> uint8 [1, H, W, 3], [2, L] and the last floats."""
        floats, own = self.stylizer.with_norms(to_floats(photo), weights, norms[None], use_norms)
        return to_levels(floats), own[0], floats


def with_floats(deployable: DeployableStylizer) -> onnx.ModelProto:
    """The graph of `photo`, `weights`, `norms`, `use_norms` that gives `picture`, `norms_out` and `picture_float`.

    The photo's sides are free, all else is fixed.
    """
    stylizer, (height, width) = deployable.stylizer, _EXAMPLE
    shares = stylizer.styles + 1
    return exported(
        deployable,
        {
            PHOTO: torch.zeros(1, height, width, 3, dtype=torch.uint8),
            WEIGHTS: torch.full((1, shares), 1 / shares),
            NORMS: torch.zeros(2, norm_count(stylizer)),
            USE_NORMS: torch.zeros(1),
        },
        outputs=[PICTURE, NORMS_OUT, FLOATS],
        free={
            PHOTO: {
                1: Dim("height", min=MIN_SIDE, max=_MAX_SIDE),
                2: Dim("width", min=MIN_SIDE, max=_MAX_SIDE),
            }
        },
        name="stylizer",
    )


def as_shipped(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of what `with_floats` gave, without the floats."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[2:]
    return copy


def quantiser(model: onnx.ModelProto) -> onnx.ModelProto:
    """The last nodes alone of what `with_floats` gave: the last float tensor -> `picture`."""
    tail: onnx.ModelProto = Extractor(model).extract_model([FLOATS], [PICTURE])
    return tail


def norm_count(stylizer: Stylizer) -> int:
    """L, the channels of all its norms."""
    return sum(stylizer.norm_channels)


def stride(stylizer: Stylizer) -> int:
    """Product of its strides: pixels of the photo to one of the coarsest maps."""
    strides: list[int] = [part.stride[0] for part in stylizer.shrink.modules() if isinstance(part, nn.Conv2d)]
    return math.prod(strides)
