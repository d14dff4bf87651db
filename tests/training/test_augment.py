"""Augmentation: what it may do, what it must leave alone."""

import pytest
import torch
from torch import Tensor

from trainface import augment

CPU = torch.device("cpu")


def draw(num: int, size: int, strength: float, seed: int = 0) -> augment.Draw:
    return augment.draw(num, size, strength, torch.Generator().manual_seed(seed), CPU)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(16, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_strength_zero_is_the_identity(images: Tensor) -> None:
    torch.testing.assert_close(augment.apply(images, draw(16, 16, 0.0)), images, atol=1e-6, rtol=0)


def test_strength_is_the_share_of_touched_images() -> None:
    drawn = draw(4000, 16, 0.3)
    touched = (drawn.brightness.flatten() != 0).float().mean().item()
    assert touched == pytest.approx(0.3, abs=0.03)  # four standard deviations of a share of 4,000


def test_shift_moves_pixels_and_mirrors_the_edge() -> None:
    matrix = augment.interpolation(8, torch.tensor([2.0]), torch.tensor([1.0]))[0]
    moved = matrix @ torch.arange(8.0)
    torch.testing.assert_close(moved, torch.tensor([2.0, 1, 0, 1, 2, 3, 4, 5]))


def test_zoom_keeps_the_centre_and_rows_sum_to_one() -> None:
    matrix = augment.interpolation(9, torch.tensor([0.0, 3.0]), torch.tensor([2.0, 0.7]))
    assert (matrix[0] @ torch.arange(9.0))[4].item() == pytest.approx(4.0)
    torch.testing.assert_close(matrix.sum(-1), torch.ones(2, 9))


def test_same_draw_same_pictures_and_each_image_alone(images: Tensor) -> None:
    drawn = draw(16, 16, 0.8)
    once = augment.apply(images, drawn)
    torch.testing.assert_close(once, augment.apply(images, drawn), atol=0, rtol=0)
    others = images.clone()
    others[1:] = 0
    torch.testing.assert_close(augment.apply(others, drawn)[0], once[0])


def test_gradient_flows_to_the_plain_images(images: Tensor) -> None:
    images.requires_grad_(True)
    augment.apply(images, draw(16, 16, 0.8)).square().sum().backward()
    assert images.grad is not None
    assert (images.grad.abs().sum((1, 2, 3)) > 0).all()
