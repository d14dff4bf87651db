"""Fitting a latent to a photo, on a small generator that is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from genface.errors import UserError
from genface.refine import FIT_PX, NOISE, refine

DIM = 6


def tiny_generator(side: int = 16) -> tuple[list[int], object]:
    """Waves, each as strong as a latent number, through tanh and rounded to levels; and how many it drew each time."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side] / side
    phases = rng.uniform(0, 2 * np.pi, size=(DIM, 3))
    waves = np.stack(
        [np.cos(2 * np.pi * (k % 3 * x + k // 3 * y))[..., None] * np.cos(p) for k, p in enumerate(phases, 1)]
    )
    drawn = []

    def decode(codes: NDArray[np.float32]) -> NDArray[np.uint8]:
        drawn.append(len(codes))
        values = np.tanh(np.tensordot(codes.astype(np.float64), waves, axes=1) / 2)
        return np.rint(127.5 + 127.5 * values).astype(np.uint8)

    return drawn, decode


def latent(seed: int) -> NDArray[np.float32]:
    z = np.random.default_rng(seed).normal(size=DIM)
    return (z * np.sqrt(DIM) / np.linalg.norm(z)).astype(np.float32)


@pytest.mark.parametrize("side", [16, 48])
def test_it_finds_the_latent_of_a_picture(side: int) -> None:
    drawn, decode = tiny_generator(side)
    target, start = latent(1), latent(2)
    found = refine(decode, decode(target[None])[0], start, 30)
    assert np.linalg.norm(start - target) > 1
    # Rounding to levels moves the minimum by some thousandths; the prior is at its own where the target lies.
    np.testing.assert_allclose(found.code, target, atol=0.02)
    assert found.code.dtype == np.float32
    assert found.before > 20
    assert found.after < 0.5
    assert found.steps < 30
    assert max(drawn) == 2 * DIM


def test_it_stops_where_nothing_is_gained() -> None:
    drawn, decode = tiny_generator()
    target = latent(1)
    found = refine(decode, decode(target[None])[0], target, 50)
    assert found.steps == 0
    assert found.before == found.after == 0
    np.testing.assert_array_equal(found.code, target)
    assert len(drawn) == 4  # the target, the start, the slopes, the moves that gain nothing


def test_no_more_steps_than_asked() -> None:
    drawn, decode = tiny_generator()
    found = refine(decode, decode(latent(1)[None])[0], latent(2), 1)
    assert found.steps == 1
    assert found.after < found.before
    assert sum(size == 2 * DIM for size in drawn) == 1
    with pytest.raises(UserError, match="at least 1 step"):
        refine(decode, decode(latent(1)[None])[0], latent(2), 0)


def test_the_prior_keeps_the_length() -> None:
    """A photo that no latent draws, such as one beyond every level, must not pull the latent away for ever."""
    _, decode = tiny_generator()
    far = decode(6 * latent(1)[None])[0]
    code = refine(decode, far, latent(2), 30).code
    free = np.linalg.norm(6 * latent(1))
    length = np.linalg.norm(code)
    assert np.sqrt(DIM) < length < 0.6 * free
    assert NOISE > 1


def test_a_decoder_that_ignores_its_latent_is_survived() -> None:
    flat = refine(lambda z: np.full((len(z), 8, 8, 3), 7, np.uint8), np.zeros((8, 8, 3), np.uint8), latent(1), 5)
    np.testing.assert_allclose(flat.code, latent(1), atol=1e-3)
    zero = refine(lambda z: np.zeros((len(z), 8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8), 0 * latent(1), 5)
    assert np.isfinite(zero.code).all()


def test_pictures_are_compared_as_means_over_squares() -> None:
    """Noise as fine as a pixel is not seen at 64 px: a photo with it fits as well as one without."""
    side = 2 * FIT_PX
    _, decode = tiny_generator(side)
    target = latent(1)
    photo = decode(target[None])[0].astype(int)
    checks = np.where(np.indices((side, side)).sum(axis=0) % 2, 20, -20)[..., None]
    found = refine(decode, (photo + checks).clip(0, 255).astype(np.uint8), latent(2), 30)
    np.testing.assert_allclose(found.code, target, atol=0.3)  # where levels are cut at 255 the checks leave a mean
