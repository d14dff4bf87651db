from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import kstest, truncnorm

from genface.errors import UserError
from genface.latents import latents, normal_quantile, philox4x32


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_vectors(
    counter: tuple[int, ...], key: tuple[int, int], expected: tuple[int, ...]
) -> None:
    # Random123's kat_vectors, philox4x32 with 10 rounds.
    words = philox4x32([np.array([word], dtype=np.uint64) for word in counter], key)
    assert tuple(int(word[0]) for word in words) == expected


def test_normal_quantile_agrees_with_scipy() -> None:
    near_zero = np.geomspace(2.0**-33, 0.5, 50_001)[:-1]
    p = np.concatenate([near_zero, 1 - near_zero, np.random.default_rng(0).uniform(2.0**-33, 1 - 2.0**-33, 200_000)])
    # PPND16 promises about 1 part in 10^16; rounding of a few operations on either side makes 1e-15 of it.
    np.testing.assert_allclose(normal_quantile(p), ndtri(p), rtol=2e-15, atol=0)


def test_normal_quantile_is_odd_and_zero_in_the_middle() -> None:
    p = np.array([0.5, 0.25, 0.75, 2.0**-33, 1 - 2.0**-33])
    z = normal_quantile(p)
    assert z[0] == 0
    assert z[1] == -z[2]
    assert z[3] == -z[4]


def test_latents_are_the_quantiles_of_the_counted_words() -> None:
    seed, index = (7 << 32) + 5, (3 << 32) + 11
    one = np.array([1], dtype=np.uint64)
    words = philox4x32([one, one * 11, one * 3, one * 0], (5, 7))
    expected = ndtri((np.array([int(word[0]) for word in words]) + 0.5) / 2**32).astype(np.float32)
    np.testing.assert_array_equal(latents(seed, [index], 8)[0, 4:], expected)


def test_latents_keep_their_values() -> None:
    # Golden: archives of older versions must be drawn again bit for bit. float32, so nine digits are exact.
    expected = [[-0.255815983, 1.1775912, 0.630183637], [-0.430882037, 0.487485677, -1.35916698]]
    np.testing.assert_array_equal(latents(0, [0, 9999], 3), np.array(expected, dtype=np.float32))


@given(
    seed=st.integers(0, 2**64 - 1),
    indices=st.lists(st.integers(0, 2**63 - 1), max_size=5),
    z_dim=st.integers(1, 13),
    truncation=st.none() | st.floats(0.01, 10),
)
def test_a_latent_depends_on_its_seed_and_index_alone(
    seed: int, indices: list[int], z_dim: int, truncation: float | None
) -> None:
    together = latents(seed, indices, z_dim, truncation=truncation)
    assert together.shape == (len(indices), z_dim)
    assert together.dtype == np.float32
    np.testing.assert_array_equal(together[::-1], latents(seed, indices[::-1], z_dim, truncation=truncation))
    for index, row in zip(indices, together, strict=True):
        np.testing.assert_array_equal(row, latents(seed, [index], z_dim, truncation=truncation)[0])
        np.testing.assert_array_equal(row, latents(seed, [index], z_dim + 5, truncation=truncation)[0, :z_dim])


def test_latents_differ_between_seeds_indices_and_places() -> None:
    numbers = np.concatenate([latents(seed, range(100), 64).ravel() for seed in (0, 1, 1 << 32)])
    assert len(np.unique(numbers)) > 0.999 * numbers.size


def test_latents_are_standard_normal() -> None:
    z = latents(1, range(5_000), 16)
    assert kstest(z.ravel(), "norm").pvalue > 0.01
    covariance = np.cov(z, rowvar=False)
    assert np.abs(covariance - np.eye(16)).max() < 0.08  # 5 standard errors of 1 / sqrt(5000)


@pytest.mark.parametrize("cut", [0.1, 0.7, 2.0])
def test_truncated_latents_are_a_cut_normal(cut: float) -> None:
    z = latents(1, range(2_000), 16, truncation=cut).ravel()
    assert np.abs(z).max() <= np.float32(cut)
    assert kstest(z, truncnorm(-cut, cut).cdf).pvalue > 0.01


def test_a_falling_truncation_moves_every_number_towards_the_mean() -> None:
    cuts = [None, 3.0, 1.0, 0.5, 0.1]
    sizes = [np.abs(latents(2, range(50), 16, truncation=cut)) for cut in cuts]
    for wider, narrower in pairwise(sizes):
        assert (narrower < wider).all()
    signs = [np.sign(latents(2, range(50), 16, truncation=cut)) for cut in cuts]
    assert all((sign == signs[0]).all() for sign in signs)


def test_a_wide_truncation_changes_nothing() -> None:
    np.testing.assert_array_equal(latents(2, range(50), 16, truncation=7.0), latents(2, range(50), 16))


@pytest.mark.parametrize(
    ("arguments", "truncation", "message"),
    [
        ((-1, [0], 4), None, "seed"),
        ((1 << 64, [0], 4), None, "seed"),
        ((0, [-1], 4), None, "indices"),
        ((0, [0.5], 4), None, "indices"),
        ((0, [[1, 2]], 4), None, "indices"),
        ((0, [1 << 64], 4), None, "indices"),
        ((0, [0], 0), None, "z_dim"),
        ((0, [0], 4), 0.0, "truncation"),
        ((0, [0], 4), -1.0, "truncation"),
        ((0, [0], 4), float("nan"), "truncation"),
        ((0, [0], 4), float("inf"), "truncation"),
    ],
)
def test_bad_arguments_are_named(arguments: tuple[int, list[int], int], truncation: float | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        latents(*arguments, truncation=truncation)


def test_ten_thousand_latents_take_no_time_worth_speaking_of() -> None:
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        latents(0, range(10_000), 64)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.5  # 0.03 s on an idle core; the slack is for a busy machine
