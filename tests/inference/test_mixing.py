"""The rules by which codes become one, and the weights that go into them."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genface.errors import UserError
from genface.mixing import Mixing, checked_weights, mix, strip_weights

RULES = get_args(Mixing)
CODES = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)


def test_linear_is_the_weighted_mean() -> None:
    mixed = mix(CODES, np.array([[0.5, 0.25, 0.25]]), "linear")
    np.testing.assert_allclose(mixed[0], 0.5 * CODES[0] + 0.25 * CODES[1] + 0.25 * CODES[2], rtol=1e-6, atol=1e-7)
    assert mixed.dtype == np.float32


def test_sphere_is_the_direction_between_directions() -> None:
    corners = np.array([[3, 0, 0], [0, 0.5, 0]], dtype=np.float32)
    np.testing.assert_allclose(mix(corners, np.array([[0.5, 0.5]]), "sphere"), [[0.5**0.5, 0.5**0.5, 0]], rtol=1e-6)


def test_latent_keeps_the_length() -> None:
    corners = np.array([[3, 0], [0, 1]], dtype=np.float32)
    mixed = mix(corners, np.array([[0.5, 0.5], [0.75, 0.25]]), "latent")
    np.testing.assert_allclose(np.linalg.norm(mixed, axis=1), [2, 2.5], rtol=1e-6)
    np.testing.assert_allclose(mixed[0], [2**0.5, 2**0.5], rtol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_all_weight_on_one_gives_its_code(rule: Mixing) -> None:
    expected = CODES / np.linalg.norm(CODES, axis=1, keepdims=True) if rule == "sphere" else CODES
    # Float64 inside: length times direction comes back to the float32 that it was.
    np.testing.assert_allclose(mix(CODES, np.eye(3), rule), expected, rtol=1.2e-7)


@pytest.mark.parametrize("rule", RULES)
def test_a_face_mixed_with_itself_is_itself(rule: Mixing) -> None:
    twice = CODES[[0, 0]]
    np.testing.assert_allclose(
        mix(twice, np.array([[0.3, 0.7]]), rule), mix(twice, np.array([[1.0, 0.0]]), rule), rtol=3e-7
    )


@given(st.permutations(range(3)), st.sampled_from(RULES))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_parents_is_their_own_affair(order: list[int], rule: Mixing) -> None:
    weights = np.array([[0.2, 0.3, 0.5]])
    np.testing.assert_allclose(
        mix(CODES[order], weights[:, order], rule), mix(CODES, weights, rule), rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize("rule", ["sphere", "latent"])
def test_opposite_directions_have_nothing_between_them(rule: Mixing) -> None:
    opposite = np.stack([CODES[0], -CODES[0]])
    with pytest.raises(UserError, match="cancel each other"):
        mix(opposite, np.array([[0.5, 0.5]]), rule)
    with pytest.raises(UserError, match="cancel each other"):
        mix(np.zeros((2, 8), dtype=np.float32), np.array([[0.5, 0.5]]), rule)
    assert np.isfinite(mix(opposite, np.array([[0.6, 0.4]]), rule)).all()


def test_weights_are_equal_unless_given() -> None:
    np.testing.assert_allclose(checked_weights(None, 4), [0.25] * 4)


def test_rounded_weights_are_made_whole() -> None:
    weights = checked_weights([0.33, 0.33, 0.33], 3)
    np.testing.assert_allclose(weights, [1 / 3] * 3)
    assert checked_weights([1, 0], 2).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([0.5, 0.25, 0.25], r"3 weights \(0.5,0.25,0.25\) for 2 photos: give one for each"),
        ([1.0], "1 weights"),
        ([1.5, -0.5], "not negative, not 1.5,-0.5"),
        ([float("nan"), 1.0], "finite"),
        ([float("inf"), 0.0], "finite"),
        ([0.5, 0.6], "must sum to 1, and 0.5,0.6 sum to 1.1"),
        ([0.0, 0.0], "sum to 0"),
        ([1e308, 1e308], "sum to"),
    ],
)
def test_weights_that_are_none(weights: list[float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        checked_weights(weights, 2)


def test_a_strip_has_even_steps_and_both_ends() -> None:
    np.testing.assert_allclose(strip_weights(5), [[1, 0], [0.75, 0.25], [0.5, 0.5], [0.25, 0.75], [0, 1]])
    assert strip_weights(2).tolist() == [[1, 0], [0, 1]]
    with pytest.raises(UserError, match="at least 2 steps"):
        strip_weights(1)
