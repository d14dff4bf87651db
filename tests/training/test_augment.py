"""Augmentation: what it may do, what it must leave alone."""

import math
from dataclasses import fields
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from trainface.config import MAX_AUGMENT, AugmentKind
from trainface.game import augment

CPU = torch.device("cpu")
KINDS: tuple[str, ...] = get_args(AugmentKind)
# The fields of a draw that each kind moves.
MOVES = {
    "shift": {"shift"},
    "zoom": {"zoom"},
    "brightness": {"brightness"},
    "colour": {"saturation", "contrast"},
    "cutout": {"cutout_side"},
}


def draw(num: int, size: int, strength: float | Tensor, kinds: tuple[str, ...] = KINDS, seed: int = 0) -> augment.Draw:
    return augment.draw(num, size, strength, kinds, torch.Generator().manual_seed(seed), CPU)


def touched(drawn: augment.Draw) -> dict[str, float]:
    """Share of images that each field is not the identity for; the centre of a cutout moves nothing by itself."""
    identity = {"shift": 0, "zoom": 1, "brightness": 0, "saturation": 1, "contrast": 1, "cutout_side": 0}
    moved = {name: getattr(drawn, name) != value for name, value in identity.items()}
    return {name: of.view(len(of), -1).any(1).float().mean().item() for name, of in moved.items()}


@pytest.fixture
def images() -> Tensor:
    return torch.rand(16, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_strength_zero_is_the_identity(images: Tensor) -> None:
    torch.testing.assert_close(augment.apply(images, draw(16, 16, 0.0)), images, atol=1e-6, rtol=0)


def test_strength_is_the_share_of_touched_images() -> None:
    shares = touched(draw(4000, 64, 0.3))
    # Four standard deviations of a share of 4,000 are 0.029; a shift of less than half a pixel rounds to none.
    assert shares.pop("shift") == pytest.approx(0.3 * (1 - (1 / 16) ** 2), abs=0.03)
    for name, share in shares.items():
        assert share == pytest.approx(0.3, abs=0.03), name


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_chosen_kinds_come(kind: str) -> None:
    moved = {name for name, share in touched(draw(500, 64, 0.5, (kind,))).items() if share > 0}
    assert moved == MOVES[kind]


def test_kinds_come_one_by_one() -> None:
    drawn = draw(4000, 64, 0.5)
    both = ((drawn.zoom != 1) & (drawn.cutout_side > 0)).float().mean().item()
    assert both == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(("strength", "kinds"), [(0.0, KINDS), (0.8, KINDS), (0.5, ()), (torch.tensor(0.3), ("zoom",))])
def test_the_random_stream_depends_on_neither_strength_nor_kinds(
    strength: float | Tensor, kinds: tuple[str, ...]
) -> None:
    rng, other = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    augment.draw(5, 16, strength, kinds, rng, CPU)
    augment.draw(5, 16, 1.0, KINDS, other, CPU)
    assert torch.equal(rng.get_state(), other.get_state())


def test_a_strength_on_the_device_draws_the_same() -> None:
    for field in fields(augment.Draw):
        one, other = draw(64, 16, 0.3), draw(64, 16, torch.tensor(0.3))
        assert torch.equal(getattr(one, field.name), getattr(other, field.name))


def test_amounts_reach_their_limits_and_no_further() -> None:
    drawn = draw(4000, 64, 1.0)
    for amounts, limit in (
        (drawn.shift, augment.MAX_SHIFT),
        (drawn.zoom.log(), augment.MAX_ZOOM),
        (drawn.brightness, augment.MAX_BRIGHTNESS),
        (drawn.saturation - 1, augment.MAX_SATURATION),
        (drawn.contrast - 1, augment.MAX_CONTRAST),
    ):
        assert 0.98 * limit < amounts.max().item() <= limit * (1 + 1e-5)
        assert -0.98 * limit > amounts.min().item() >= -limit * (1 + 1e-5)
        assert amounts.mean().item() == pytest.approx(0, abs=0.04 * limit)


def test_shift_moves_whole_pixels_and_mirrors_the_edge() -> None:
    matrix = augment.interpolation(8, torch.tensor([2 / 8, -1 / 8]), torch.ones(2))
    moved = matrix @ torch.arange(8.0)
    torch.testing.assert_close(moved[0], torch.tensor([1.0, 0, 0, 1, 2, 3, 4, 5]), atol=0, rtol=0)
    torch.testing.assert_close(moved[1], torch.tensor([1.0, 2, 3, 4, 5, 6, 7, 7]), atol=0, rtol=0)
    pixels = draw(500, 64, 1.0).shift * 64
    assert torch.equal(pixels, pixels.round())


def test_zoom_keeps_the_centre_and_rows_sum_to_one() -> None:
    matrix = augment.interpolation(9, torch.tensor([0.0, 1 / 3]), torch.tensor([2.0, 0.7]))
    assert (matrix[0] @ torch.arange(9.0))[4].item() == pytest.approx(4.0)
    torch.testing.assert_close(matrix.sum(-1), torch.ones(2, 9))
    # Zoomed by two, neighbours lie half a pixel of the source apart.
    torch.testing.assert_close((matrix[0] @ torch.arange(9.0)).diff(), torch.full((8,), 0.5))


def test_colour_is_saturation_then_contrast_then_brightness(images: Tensor) -> None:
    drawn = draw(16, 16, 1.0, ("brightness", "colour"))
    gray = images.mean(dim=1, keepdim=True)
    expected = gray + (images - gray) * drawn.saturation
    mean = expected.mean(dim=(1, 2, 3), keepdim=True)
    expected = mean + (expected - mean) * drawn.contrast + drawn.brightness
    torch.testing.assert_close(augment.apply(images, drawn), expected, atol=1e-5, rtol=0)


def test_cutout_is_a_gray_square_of_half_the_side() -> None:
    ones = torch.ones(400, 3, 16, 16)
    cut = augment.apply(ones, draw(400, 16, 1.0, ("cutout",))) == 0
    assert torch.equal(cut.any(1), cut.all(1))
    rows, columns = cut[:, 0].any(2), cut[:, 0].any(1)
    assert torch.equal(cut[:, 0], rows[:, :, None] & columns[:, None, :])
    # Centres are anywhere in the picture, so the square shows from a quarter to all of its side.
    assert rows.sum(1).unique().tolist() == [4, 5, 6, 7, 8]
    assert (rows.int().diff(dim=1) == 1).sum(1).max().item() <= 1  # one piece
    assert rows.any(0).all()
    assert columns.any(0).all()


def test_a_pyramid_is_augmented_alike_at_every_scale() -> None:
    # Of an even shift, colour and a cutout on even pixels, halving the picture before or after is the same thing.
    rng = torch.Generator().manual_seed(0)
    high = torch.rand(64, 3, 32, 32, generator=rng)
    drawn = draw(64, 16, 0.8, ("shift", "brightness", "colour", "cutout"))
    after = F.avg_pool2d(augment.apply(high, drawn), 2)
    before = augment.apply(F.avg_pool2d(high, 2), drawn)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=0)


def test_zoom_agrees_between_the_scales_of_a_smooth_picture() -> None:
    places = (torch.arange(64.0) + 0.5) / 64
    wave = torch.cos(2 * math.pi * places)  # even about both edges, so that mirroring continues it
    high = (wave[:, None] * wave).expand(64, 3, 64, 64)
    drawn = draw(64, 64, 1.0, ("zoom", "shift"))
    after = F.avg_pool2d(augment.apply(high, drawn), 4)
    before = augment.apply(F.avg_pool2d(high, 4), drawn)
    # Linear interpolation between 16 pixels of a wave is off by (2 pi / 16)^2 / 8 = 0.02 an axis at most.
    torch.testing.assert_close(after, before, atol=0.04, rtol=0)
    assert (before - F.avg_pool2d(high, 4)).abs().max() > 0.2


def test_same_draw_same_pictures_and_each_image_alone(images: Tensor) -> None:
    drawn = draw(16, 16, 0.8)
    once = augment.apply(images, drawn)
    torch.testing.assert_close(once, augment.apply(images, drawn), atol=0, rtol=0)
    others = images.clone()
    others[1:] = 0
    torch.testing.assert_close(augment.apply(others, drawn)[0], once[0])


def test_halves_augment_the_halves(images: Tensor) -> None:
    drawn = draw(16, 16, 0.8)
    parts = [augment.apply(part, half) for part, half in zip(images.chunk(2), drawn.halves(), strict=True)]
    torch.testing.assert_close(torch.cat(parts), augment.apply(images, drawn))


def test_gradient_flows_to_the_plain_images_but_for_the_cut_out_ones(images: Tensor) -> None:
    images.requires_grad_(True)
    augment.apply(images, draw(16, 16, 0.8)).square().sum().backward()
    assert images.grad is not None
    assert (images.grad.abs().sum((1, 2, 3)) > 0).all()

    drawn = draw(16, 16, 1.0, ("cutout",))
    (gradient,) = torch.autograd.grad(augment.apply(images, drawn).sum(), images)
    torch.testing.assert_close(gradient, augment.apply(torch.ones_like(images), drawn), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("strength", "gap", "images_seen", "expected"),
    [
        (0.2, 0.4, 5_000, 0.21),
        (0.2, 0.2, 5_000, 0.19),
        (0.2, 0.3, 5_000, 0.2),  # on target
        (0.2, -3.0, 5_000, 0.19),  # how far off it is does not matter
        (0.2, math.nan, 5_000, 0.2),
        (0.001, 0.0, 5_000, 0.0),
        (0.795, 0.9, 5_000, MAX_AUGMENT),
        (0.0, 0.9, 10_000_000, MAX_AUGMENT),
    ],
)
def test_adaptive_strength_follows_the_gap(strength: float, gap: float, images_seen: int, expected: float) -> None:
    assert augment.adapt(strength, gap, 0.3, images_seen) == pytest.approx(expected, abs=1e-12)


def test_adaptive_strength_settles_where_the_gap_meets_its_target() -> None:
    strength = 0.0
    for _ in range(200):
        strength = augment.adapt(strength, 0.8 - strength, 0.3, 2_000)  # more augmentation, less of a gap
    assert strength == pytest.approx(0.5, abs=0.005)
