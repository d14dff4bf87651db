"""Painting by optimisation: it goes down, it repeats, and what it is given is checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from genface.errors import UserError
from trainface.style.features import Features, choose_features
from trainface.style.paint import PaintConfig, PaintStep, paint
from trainface.style.paintings import draw
from trainface.style.pictures import scaled, to_pixels, to_tensor


@pytest.fixture(scope="module")
def lite0() -> Features:
    return choose_features("lite0", say=lambda line: None)


@pytest.fixture(scope="module")
def photo() -> Tensor:
    """A light disc on a dark ground, 64 x 48 px."""
    y, x = np.mgrid[0:48, 0:64]
    disc = (np.hypot(x - 32, y - 24) < 16)[..., None] * np.array([200, 160, 130]) + 25
    return to_tensor(Image.fromarray(disc.astype(np.uint8)))


@pytest.fixture(scope="module")
def painting() -> Tensor:
    return to_tensor(draw("dots", 64))


@pytest.mark.parametrize(
    ("optimizer", "start", "factor"),
    # From noise all is far away at first, and from the photo there is only style to be won.
    [("lbfgs", "content", 0.5), ("lbfgs", "noise", 0.7), ("adam", "content", 0.7)],
)
def test_a_few_steps_lower_the_loss(
    lite0: Features, photo: Tensor, painting: Tensor, optimizer: Any, start: Any, factor: float
) -> None:
    steps: list[PaintStep] = []
    config = PaintConfig(optimizer=optimizer, start=start, steps=8)
    picture = paint(photo, painting, lite0, config, steps.append)
    assert [step.step for step in steps] == list(range(1, 9))
    assert steps[-1].total < factor * steps[0].total
    assert steps[-1].style < steps[0].style
    assert picture.shape == photo.shape
    assert picture.abs().max() <= 1
    assert (steps[0].content == 0) == (start == "content")


def test_the_same_again(lite0: Features, photo: Tensor, painting: Tensor) -> None:
    config = PaintConfig(start="noise", steps=2)
    first, second = (paint(photo, painting, lite0, config) for _ in range(2))
    assert torch.equal(first, second)


def test_without_style_the_photo_stays(lite0: Features, photo: Tensor, painting: Tensor) -> None:
    picture = paint(photo, painting, lite0, PaintConfig(style_weight=0, tv_weight=0, steps=3))
    assert np.array_equal(to_pixels(picture), to_pixels(photo))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"style_weight": -1.0}, "style_weight"),
        ({"content_weight": float("nan")}, "content_weight"),
        ({"content_weight": 0.0, "style_weight": 0.0}, "nothing to paint"),
        ({"optimizer": "sgd"}, "lbfgs or adam"),
        ({"start": "black"}, "content or noise"),
    ],
)
def test_impossible_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        PaintConfig(**settings)


def test_a_loss_that_is_not_finite_is_an_error(lite0: Features, photo: Tensor, painting: Tensor) -> None:
    with pytest.raises(UserError, match="loss is"):
        paint(photo, painting, lite0, PaintConfig(style_weight=1e38, optimizer="adam", steps=3))


def test_scaling_keeps_proportions() -> None:
    picture = Image.new("RGB", (300, 200))
    assert scaled(picture, 150, "photo").size == (150, 100)
    assert scaled(picture, 600, "photo").size == (600, 400)
    with pytest.raises(UserError, match=r"strip\.png: 300x10 px.*--size"):
        scaled(Image.new("RGB", (300, 10)), 300, "strip.png")
    with pytest.raises(UserError, match="16 to 4096"):
        scaled(picture, 5000, "photo")
