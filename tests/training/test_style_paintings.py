"""The project's own paintings: repeatable, unlike each other, the same picture at every size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genface.errors import UserError
from trainface.style.features import choose_features, look
from trainface.style.losses import style_loss
from trainface.style.paintings import PAINTINGS, draw
from trainface.style.paintings.brush import Dice, ramp, smoothstep
from trainface.style.pictures import to_tensor


def test_there_are_at_least_three() -> None:
    assert len(PAINTINGS) >= 3


@pytest.mark.parametrize("name", PAINTINGS)
def test_the_same_every_time(name: str) -> None:
    first, second = draw(name, 64), draw(name, 64)
    assert first.mode == "RGB"
    assert first.size == (64, 64)
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("name", PAINTINGS)
def test_the_same_picture_at_every_size(name: str) -> None:
    small, large = (np.asarray(draw(name, side).resize((8, 8)), dtype=float) for side in (64, 128))
    # Noise is interpolated on another grid and small dots fall on other pixels, so eighths of a side agree in colour
    # within about 20 levels; another painting's differ by 60.
    assert np.abs(small - large).mean() < 20


def test_each_is_a_style_of_its_own() -> None:
    """As the features see it, half of a painting is in its style, and no other painting is nearly so."""
    features = choose_features("lite0", say=lambda line: None)
    tensors = {name: to_tensor(draw(name, 96)) for name in PAINTINGS}
    with torch.no_grad():
        grams = {name: look(features, picture).grams for name, picture in tensors.items()}
        for name, picture in tensors.items():
            half = look(features, picture[..., :48]).style_loss(grams[name]).item()
            others = [style_loss(grams[other], grams[name]).item() for other in PAINTINGS if other != name]
            # Measured at 128 px: 0.001 to 0.010 for the halves, 0.165 and more for the others.
            assert min(others) > 5 * half
            assert min(others) > 0.1


@pytest.mark.parametrize(("name", "side", "message"), [("oil", 64, "known: dots"), ("dots", 32, "64 to 2048")])
def test_what_cannot_be_drawn(name: str, side: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        draw(name, side)


def test_dice_are_a_function_of_seed_and_throws() -> None:
    first, again, other = Dice(7), Dice(7), Dice(8)
    one, two = first.throw(1000), first.throw(1000)
    assert np.array_equal(one, again.throw(1000))
    assert not np.array_equal(one, two)
    assert not np.array_equal(one, other.throw(1000))
    # A mean of 1,000 uniform numbers has a standard deviation of 0.009.
    assert abs(one.mean() - 0.5) < 0.04
    assert one.min() > 0
    assert one.max() < 1


def test_ramp_and_smoothstep() -> None:
    middle = ramp(np.array([0.0, 0.5, 2.0]), [(0, "#000000"), (1, "#0a1464")])
    assert middle.tolist() == [[0, 0, 0], [5, 10, 50], [10, 20, 100]]
    assert smoothstep(0, 1, np.array([-1.0, 0.5, 2.0])).tolist() == [0, 0.5, 1]
    assert smoothstep(1, 0, np.array([0.0, 1.0])).tolist() == [1, 0]
