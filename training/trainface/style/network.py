"""The stylizer: a photo in the manner of one or several paintings in one pass through a small network.

Johnson, Alahi and Fei-Fei 2016 ("Perceptual losses for real-time style transfer") with the changes of Dumoulin, Shlens
and Kudlur 2017 ("A learned representation for artistic style"): mirrored borders, enlarging by nearest neighbours and a
convolution, and one row of scales and shifts per style behind every convolution, which is all that a style is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MIN_SIDE = 8
"""Shortest side of a photo: a quarter of it must be longer than what is mirrored at its border."""

_EPSILON = 1e-5
_FIRST_SIDE = 9
"""Side of the kernels that touch pixels, as Johnson et al. have it; all others are 3x3."""
_PASSED_BY = 0.5
_LAST_SCALE = 0.25
"""With half of the photo passed by, an untrained picture is about in range."""


class StylizerShape(Protocol):
    """What a stylizer is built from."""

    @property
    def styles(self) -> int:
        """Paintings that it learns, K."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels at the photo's resolution, at half of it and at a quarter."""

    @property
    def blocks(self) -> int:
        """Residual blocks at a quarter of the resolution."""


class ConditionalNorm(nn.Module):
    """Instance norm with a scale and a shift per style, mixed by weights (Dumoulin et al. 2017, equation 5).

    It normalises by its own mean and variance over the picture, or by given ones: those of a thumbnail, where the
    picture is a tile of a larger one (Chen et al. 2022, "Towards ultra-resolution neural style transfer via thumbnail
    instance normalization").
    """

    def __init__(self, channels: int, styles: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(styles, channels))
        self.shift = nn.Parameter(torch.zeros(styles, channels))

    def forward(self, x: Tensor, weights: Tensor, given: Tensor, use_given: Tensor) -> tuple[Tensor, Tensor]:
        """Normalise maps.

        Args:
            x: [N, C, H, W].
            weights: [N, styles].
            given: [N or 1, 2, C], a mean and a variance of every channel.
            use_given: [1]; above 0.5, `given` takes the place of the maps' own.

        Returns:
            The normalised maps, float32 [N, C, H, W], and their own mean and variance before, [N, 2, C].
        """
        x = x.float()  # under autocast, too: a mean of many bf16 numbers would be a coarse one
        mean = x.mean((2, 3), keepdim=True)
        variance = (x - mean).square().mean((2, 3), keepdim=True)
        own = torch.cat([mean, variance], dim=2).squeeze(3).transpose(1, 2)
        mean, variance = torch.where(use_given > 0.5, given, own)[..., None, None].unbind(1)
        # Not a matrix product, which autocast would round.
        scale, shift = ((weights[..., None] * part).sum(1)[..., None, None] for part in (self.scale, self.shift))
        return (x - mean) * (torch.rsqrt(variance + _EPSILON) * scale) + shift, own


class _Layer(nn.Module):
    """A convolution and the norm behind it."""

    def __init__(self, channels_in: int, channels_out: int, styles: int, *, side: int = 3, stride: int = 1) -> None:
        super().__init__()
        # Without bias: the norm would take it out again.
        self.conv = nn.Conv2d(
            channels_in, channels_out, side, stride, padding=side // 2, padding_mode="reflect", bias=False
        )
        self.norm = ConditionalNorm(channels_out, styles)

    def forward(self, x: Tensor, weights: Tensor, given: Tensor, use_given: Tensor) -> tuple[Tensor, Tensor]:
        normed: tuple[Tensor, Tensor] = self.norm(self.conv(x), weights, given, use_given)
        return normed


class Stylizer(nn.Module):
    """Photo and weights of the styles to picture.

    `weights` are float32 [N, K + 1]: style 0 is the identity, 1 to K are the paintings, and they sum to 1. Strength s
    of style k is (1 - s) on 0 and s on k; several styles may be mixed.

    The photo is passed by in full for the identity, and the last norm has no row for it: there the network adds nothing
    and gives back the photo exactly, whatever it has learnt.
    """

    output_range = (-1.0, 1.0)
    """Of the pictures; what lies beyond is to be cut."""

    def __init__(self, shape: StylizerShape) -> None:
        super().__init__()
        full, half, quarter = shape.widths
        rows = shape.styles + 1
        self.styles = shape.styles
        self.shrink = nn.ModuleList(
            [
                _Layer(3, full, rows, side=_FIRST_SIDE),
                _Layer(full, half, rows, stride=2),
                _Layer(half, quarter, rows, stride=2),
            ]
        )
        self.blocks = nn.ModuleList(_Layer(quarter, quarter, rows) for _ in range(2 * shape.blocks))
        self.enlarge = nn.ModuleList([_Layer(quarter, half, rows), _Layer(half, full, rows)])
        self.last = _Layer(full, 3, shape.styles, side=_FIRST_SIDE)
        nn.init.constant_(self.last.norm.scale, _LAST_SCALE)
        self.passed_by = nn.Parameter(torch.full((shape.styles,), _PASSED_BY))
        """[K]: how much of the photo goes straight into the picture, by style."""
        self.norm_channels: Sequence[int] = (full, half, quarter, *[quarter] * (2 * shape.blocks), half, full, 3)
        """Channels of the norms in the order of the layers; L is their sum."""

    @property
    def reach(self) -> int:
        """How many pixels away a pixel of the photo can still act on one of the picture, its part in the norms aside.

        Tiles overlap by it, and begin at multiples of 4, where the coarse grids of all of them lie alike.
        """
        shrinking, enlarging, alignment = 1 + 2, 2 + 1, 3
        return 2 * (_FIRST_SIDE // 2) + shrinking + 4 * len(self.blocks) + enlarging + alignment

    def forward(self, photos: Tensor, weights: Tensor) -> Tensor:
        """Float32 [N, 3, H, W] in [-1, 1], sides from `MIN_SIDE`, and [N, K + 1] -> [N, 3, H, W], about [-1, 1]."""
        unused = photos.new_zeros(1, 2, sum(self.norm_channels))
        return self.with_norms(photos, weights, unused, photos.new_zeros(1))[0]

    def with_norms(self, photos: Tensor, weights: Tensor, norms: Tensor, use_norms: Tensor) -> tuple[Tensor, Tensor]:
        """The same with the means and variances of all norms in sight.

        Args:
            photos: float32 [N, 3, H, W] in [-1, 1], sides from `MIN_SIDE`.
            weights: float32 [N, K + 1], rows that sum to 1.
            norms: float32 [N or 1, 2, L]: means and variances to normalise by, as this gives them for a thumbnail
                with the same weights.
            use_norms: float32 [1]: 1 to normalise by `norms`, 0 by the photo's own.

        Returns:
            Pictures float32 [N, 3, H, W], and the photo's own means and variances, [N, 2, L].
        """
        given = iter(norms.split_with_sizes(list(self.norm_channels), dim=2))
        seen: list[Tensor] = []

        def run(layer: nn.Module, x: Tensor, rows: Tensor = weights) -> Tensor:
            x, own = layer(x, rows, next(given), use_norms)
            seen.append(own)
            return x

        sizes = []
        x = photos
        for layer in self.shrink:
            sizes.append(x.shape[2:])
            x = F.relu(run(layer, x))
        for first, second in zip(self.blocks[::2], self.blocks[1::2], strict=True):
            x = x + run(second, F.relu(run(first, x)))
        for layer, (height, width) in zip(self.enlarge, reversed(sizes[1:]), strict=True):
            # An odd side was halved upwards: the row or column too many goes again.
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")[:, :, :height, :width]
            x = F.relu(run(layer, x))
        identity, paintings = weights[:, :1], weights[:, 1:]
        share = identity + (paintings * self.passed_by).sum(1, keepdim=True)
        pictures = photos * share[..., None, None] + run(self.last, x, paintings)
        return pictures, torch.cat(seen, dim=2)


def build_stylizer(shape: StylizerShape) -> Stylizer:
    """The untrained network of a configuration; its weights are drawn from torch's global stream."""
    return Stylizer(shape)
