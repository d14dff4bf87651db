from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from genface.errors import UserError
from genface.latents import latents
from genface.walk import Walk, slerp, walk_latents


def points_of(paths: int, points: int, z_dim: int = 64, seed: int = 0) -> NDArray[np.float32]:
    return latents(seed, range(paths * points), z_dim).reshape(paths, points, z_dim)


def lengths(z: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.linalg.norm(z.astype(np.float64), axis=-1)


def test_slerp_is_shoemakes_formula() -> None:
    start, end = np.array([1, 0, 0], np.float32), np.array([0, 2, 0], np.float32)
    thirds = slerp(start, end, np.array([1 / 3, 2 / 3]))
    # A right angle: 30 and 60 degrees, with lengths 4/3 and 5/3. float32 keeps seven digits.
    expected = [[np.cos(np.pi / 6), np.sin(np.pi / 6), 0], [np.cos(np.pi / 3), np.sin(np.pi / 3), 0]]
    np.testing.assert_allclose(thirds, np.array(expected) * [[4 / 3], [5 / 3]], rtol=1e-6, atol=1e-7)


def test_slerp_keeps_a_length_that_the_ends_share() -> None:
    start, end = latents(0, range(2), 64)
    end = (end * (np.linalg.norm(start) / np.linalg.norm(end))).astype(np.float32)
    path = slerp(start, end, np.linspace(0, 1, 33))
    np.testing.assert_allclose(lengths(path), np.linalg.norm(start), rtol=1e-6)


def test_slerp_of_rows_is_slerp_of_each() -> None:
    start, end = latents(0, range(5), 8), latents(1, range(5), 8)
    t = np.linspace(0, 1, 5)
    one_by_one = [slerp(start[i], end[i], t[i : i + 1])[0] for i in range(5)]
    np.testing.assert_array_equal(slerp(start, end, t), one_by_one)


@pytest.mark.parametrize("name", ["equal", "nearly equal", "opposite", "from the origin", "the origin alone"])
def test_slerp_of_special_ends_is_finite_and_straight(name: str) -> None:
    z = latents(0, range(1), 16)[0]
    start, end = {
        "equal": (z, z),
        "nearly equal": (z, z * np.float32(1 + 1e-7)),
        "opposite": (z, -z),
        "from the origin": (0 * z, z),
        "the origin alone": (0 * z, 0 * z),
    }[name]
    t = np.linspace(0, 1, 5)
    straight = (1 - t[:, None]) * start + t[:, None] * end
    np.testing.assert_allclose(slerp(start, end, t), straight, atol=1e-6)


def test_a_walk_between_two_points_is_their_great_circle() -> None:
    points = points_of(3, 2)
    walk = walk_latents(points, 9)
    t = np.linspace(0, 1, 9)
    for path in range(3):
        # Cubic and circle agree in exact arithmetic; both are rounded to float32.
        np.testing.assert_allclose(walk[path], slerp(points[path, 0], points[path, 1], t), atol=1e-6)


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("points", [2, 3, 5])
def test_a_walk_goes_exactly_through_its_points(points: int, loop: bool) -> None:
    faces = points_of(2, points)
    legs = points if loop else points - 1
    walk = walk_latents(faces, 7 * legs + (not loop), loop=loop)
    np.testing.assert_array_equal(walk[:, ::7], faces)


def test_a_loop_closes() -> None:
    faces = points_of(1, 4)
    walk = Walk(faces, loop=True)
    assert walk.legs == 4
    before, after = walk.at(np.zeros(2, np.int64), np.array([4 - 1e-4, 1e-4]))
    np.testing.assert_array_equal(walk.at(np.array([0]), np.array([4.0]))[0], faces[0, 0])
    assert np.linalg.norm(after - before) < 0.01
    played = walk_latents(faces, 40, loop=True)[0]
    steps = lengths(np.diff(np.concatenate([played, played[:1]]), axis=0))
    assert steps[-1] < 1.5 * steps[:-1].max()


@pytest.mark.parametrize("loop", [False, True])
def test_a_walk_has_no_corners(loop: bool) -> None:
    """The direction just before a point is that just after it; of great circles end to end it is not."""
    faces = points_of(1, 5)
    walk, h = Walk(faces, loop=loop), 1e-3

    def corner(at: float) -> float:
        before, here, after = walk.at(np.zeros(3, np.int64), np.array([at - h, at, at + h])).astype(np.float64)
        return float(np.linalg.norm((after - here) - (here - before)) / np.linalg.norm(after - before))

    circles = [
        slerp(faces[0, 0], faces[0, 1], np.array([1 - h]))[0],
        *slerp(faces[0, 1], faces[0, 2], np.array([0, h])),
    ]
    before, here, after = np.array(circles, dtype=np.float64)
    # A cubic turns by h * second derivative between two samples, 0.0025 here; circles end to end by 1.02.
    assert all(corner(at) < 0.01 for at in range(1, 4))
    assert np.linalg.norm((after - here) - (here - before)) / np.linalg.norm(after - before) > 0.9


def test_lengths_stay_between_those_of_the_points_around() -> None:
    faces = points_of(1, 6, 32)
    faces = faces * np.array([1, 9, 1, 1, 0.1, 5], np.float32)[None, :, None]
    walk = walk_latents(faces, 101)[0]
    ends = lengths(faces[0])
    for leg in range(5):
        low, high = sorted(ends[leg : leg + 2])
        leg_lengths = lengths(walk[20 * leg : 20 * leg + 21])
        assert leg_lengths.min() >= low * (1 - 1e-6)
        assert leg_lengths.max() <= high * (1 + 1e-6)


@pytest.mark.parametrize("points", [2, 4])
def test_walking_backwards_is_the_same_walk(points: int) -> None:
    faces = points_of(2, points)
    forwards, backwards = walk_latents(faces, 10), walk_latents(faces[:, ::-1], 10)
    np.testing.assert_allclose(backwards[:, ::-1], forwards, atol=1e-5)


def test_paths_do_not_depend_on_each_other_nor_on_how_they_are_asked_for() -> None:
    faces = points_of(3, 3)
    together = walk_latents(faces, 8)
    np.testing.assert_array_equal(walk_latents(faces[1:2], 8)[0], together[1])
    walk = Walk(faces)
    order = np.random.default_rng(0).permutation(24)
    some = walk.at(order // 8, walk.times(8)[order % 8])
    np.testing.assert_array_equal(some, together.reshape(24, -1)[order])


@settings(max_examples=50, deadline=None)
@given(
    values=st.lists(st.sampled_from([-1.0, 0.0, 1e-30, 1.0, 1e18]), min_size=12, max_size=12),
    loop=st.booleans(),
)
def test_a_walk_through_any_points_is_finite(values: list[float], loop: bool) -> None:
    faces = np.array(values, np.float32).reshape(1, 4, 3)
    assert np.isfinite(walk_latents(faces, 13, loop=loop)).all()


def test_what_is_no_walk_is_refused() -> None:
    with pytest.raises(UserError, match="at least 2 points"):
        Walk(points_of(2, 1))
    with pytest.raises(UserError, match="at least 2 points"):
        Walk(latents(0, range(4), 8))
    with pytest.raises(UserError, match="at least 2 frames, not 1"):
        Walk(points_of(1, 2)).times(1)
