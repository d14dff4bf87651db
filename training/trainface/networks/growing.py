"""Putting the weights of trained networks into a pair for twice the size, so that they begin where the old ones were.

The new G draws the old picture upsampled, and the new D judges a picture as the old D judges it downsampled; the new
stage's other channels are random and led nowhere by weights of zero, which learn from the first step on. Where a
stride-2 4x4 convolution is the resampler it pads with zeros, so the border's pixel differs; elsewhere this is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trainface.config import Architecture
from trainface.networks import normfree, pyramid, r3
from trainface.networks.parts import LEAK

CARRIERS = 6
"""Channels that carry RGB through a rectifier: x and -x of each colour, since lrelu(x) - lrelu(-x) = (1 + LEAK) x."""

UP, DOWN = 1 / 16, 1 / 64
"""Factors that make the sums 1, for a transposed convolution and for a convolution, both 4x4 with stride 2."""


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How one architecture doubles its size."""

    generator: Callable[[Any, Any], None]
    """(old, new): fills the new generator, one stage larger."""
    discriminator: Callable[[Any, Any], None]
    """(old, new): fills the new discriminator, one stage larger."""
    least_width: int
    """Channels that a new stage needs to carry a picture."""


def _grow_normfree_generator(old: normfree.Generator, new: normfree.Generator) -> None:
    _copy_where_equal(old, new, except_for="to_rgb.")
    carry = new.layers[len(old.layers)]
    assert isinstance(carry, nn.ConvTranspose2d)
    assert old.to_rgb.bias is not None
    # In the place of the old RGB layer stands one with the same kernel that makes x and -x of its colours.
    _carry_out(carry, old.to_rgb.weight, old.to_rgb.bias)
    _read_carriers(new.to_rgb, torch.eye(3)[:, :, None, None] * _bilinear(UP))


def _grow_normfree_discriminator(old: normfree.Discriminator, new: normfree.Discriminator) -> None:
    added = len(new.layers) - len(old.layers)
    for source, target in zip(old.layers[1:], new.layers[1 + added :], strict=True):
        target.load_state_dict(source.state_dict())
    new.collect.load_state_dict(old.collect.state_dict())
    new.score.load_state_dict(old.score.state_dict())
    carry, reader, first = new.layers[0], new.layers[added], old.layers[0]
    assert isinstance(carry, nn.Conv2d)
    assert isinstance(reader, nn.Conv2d)
    assert isinstance(first, nn.Conv2d)
    assert first.bias is not None
    _carry_out(carry, torch.eye(3)[:, :, None, None] * _bilinear(DOWN), torch.zeros(3))
    _read_carriers(reader, first.weight, first.bias)


def _grow_r3_generator(old: r3.Generator, new: r3.Generator) -> None:
    _copy_where_equal(old, new, except_for="to_rgb.")
    change = new.changes[-1]
    if isinstance(change, nn.Identity):
        new.to_rgb.load_state_dict(old.to_rgb.state_dict())
        return
    # The blocks begin as identities and 1x1 convolutions commute with resampling: rgb' change = rgb is all there is to
    # hold, and the smallest change to the random weights that does it leaves the new features rich.
    assert isinstance(change, nn.Conv2d)
    rgb, random = new.to_rgb.weight[:, :, 0, 0], change.weight[:, :, 0, 0]
    change.weight.copy_(
        (random + torch.linalg.pinv(rgb) @ (old.to_rgb.weight[:, :, 0, 0] - rgb @ random))[..., None, None]
    )


def _grow_r3_discriminator(old: r3.Discriminator, new: r3.Discriminator) -> None:
    _copy_where_equal(old, new, except_for="from_rgb.")
    change = new.changes[-1]
    if isinstance(change, nn.Identity):
        new.from_rgb.load_state_dict(old.from_rgb.state_dict())
        return
    assert isinstance(change, nn.Conv2d)
    rgb, random = new.from_rgb.weight[:, :, 0, 0], change.weight[:, :, 0, 0]
    change.weight.copy_(
        (random + (old.from_rgb.weight[:, :, 0, 0] - random @ rgb) @ torch.linalg.pinv(rgb))[..., None, None]
    )


def _grow_pyramid_generator(old: pyramid.Generator, new: pyramid.Generator) -> None:
    _copy_where_equal(old, new)
    carry, to_rgb, old_rgb = new.ups[-1], new.to_rgb[-1], old.to_rgb[-1]
    assert isinstance(carry, nn.ConvTranspose2d)
    assert isinstance(to_rgb, nn.Conv2d)
    assert isinstance(old_rgb, nn.Conv2d)
    assert old_rgb.bias is not None
    _carry_out(carry, old_rgb.weight.transpose(0, 1) * _bilinear(UP), old_rgb.bias)
    _read_carriers(to_rgb, torch.eye(3)[:, :, None, None])


def _grow_pyramid_discriminator(old: pyramid.Discriminator, new: pyramid.Discriminator) -> None:
    _copy_where_equal(old, new)
    carry, reader, old_rgb = new.from_rgb[-1], new.downs[-1], old.from_rgb[-1]
    assert isinstance(carry, nn.Conv2d)
    assert isinstance(reader, nn.Conv2d)
    assert isinstance(old_rgb, nn.Conv2d)
    assert old_rgb.bias is not None
    if not new.progressive:
        # The old scale is still read beside the new one, which adds nothing yet.
        nn.init.zeros_(reader.weight)
        return
    _carry_out(carry, torch.eye(3)[:, :, None, None], torch.zeros(3))
    _read_carriers(reader, old_rgb.weight * _bilinear(DOWN), old_rgb.bias)


GROWTHS: Mapping[Architecture, Growth] = {
    "normfree": Growth(
        generator=_grow_normfree_generator, discriminator=_grow_normfree_discriminator, least_width=CARRIERS
    ),
    "r3": Growth(generator=_grow_r3_generator, discriminator=_grow_r3_discriminator, least_width=3),
    "pyramid": Growth(
        generator=_grow_pyramid_generator, discriminator=_grow_pyramid_discriminator, least_width=CARRIERS
    ),
}
"""The architectures that can grow. BatchNorm cannot: its statistics hold for the batches of one size."""


@torch.no_grad()
def grow(architecture: Architecture, old: tuple[nn.Module, nn.Module], new: tuple[nn.Module, nn.Module]) -> None:
    """Fill the pair `new` (G, D) of twice the size from the trained pair `old`; lower stages have equal widths."""
    growth = GROWTHS[architecture]
    growth.generator(old[0], new[0])
    growth.discriminator(old[1], new[1])


def _copy_where_equal(old: nn.Module, new: nn.Module, except_for: str | None = None) -> None:
    """Copy every tensor by its name, but for those whose names begin with `except_for`; stages count from 4 px up."""
    kept = {
        name: tensor
        for name, tensor in old.state_dict().items()
        if except_for is None or not name.startswith(except_for)
    }
    _, unexpected = new.load_state_dict(kept, strict=False)
    assert not unexpected, unexpected


def _bilinear(factor: float) -> Tensor:
    """float32 [4, 4]: `factor` times [1, 3, 3, 1] in both directions, bilinear with stride 2."""
    kernel = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return factor * kernel[:, None] * kernel


def _carry_out(convolution: nn.Conv2d | nn.ConvTranspose2d, weight: Tensor, bias: Tensor) -> None:
    """Let the first channels that `convolution` makes be x and -x of three; `weight` and `bias` make the three."""
    out = 1 if isinstance(convolution, nn.ConvTranspose2d) else 0
    assert convolution.bias is not None
    convolution.weight.narrow(out, 0, CARRIERS).copy_(torch.cat([weight, -weight], dim=out))
    convolution.bias[:CARRIERS] = torch.cat([bias, -bias])


def _read_carriers(convolution: nn.Conv2d | nn.ConvTranspose2d, weight: Tensor, bias: Tensor | None = None) -> None:
    """Let `convolution` compute what `weight` and `bias` make of the three, and nothing of its other channels yet."""
    into = 0 if isinstance(convolution, nn.ConvTranspose2d) else 1
    assert convolution.bias is not None
    convolution.weight.zero_()
    half = weight / (1.0 + LEAK)
    convolution.weight.narrow(into, 0, CARRIERS).copy_(torch.cat([half, -half], dim=into))
    convolution.bias.copy_(torch.zeros_like(convolution.bias) if bias is None else bias)
