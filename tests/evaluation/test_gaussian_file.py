"""Statistics that merge exactly, go to a file and come back; pytorch-fid's files both ways; damaged ones refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_fid.fid_score import compute_statistics_of_path

from evalface.frechet import Gaussian, frechet_distance, noise_floor_at
from evalface.gaussian_file import read_statistics, write_statistics
from evalface.moments import Moments, merged
from genface.errors import UserError

EXTRACTOR = {"name": "pixels", "version": 1}


def features(n: int, d: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 60), max_size=6), st.integers(1, 8), st.sampled_from([0.0, 1e4]))
def test_shards_merge_to_the_whole(cuts: list[int], d: int, offset: float) -> None:
    x = features(61, d) + offset
    parts = [part for part in np.split(x, sorted(set(cuts) - {0})) if len(part)]
    whole, got = Moments.of(x), merged(Moments.of(part) for part in parts)
    assert got.n == whole.n
    np.testing.assert_allclose(got.mean, whole.mean, rtol=1e-12)
    scale = np.abs(whole.scatter).max()
    # Equal to 1e-10 of the spread; at an offset of 1e4 its square costs eight digits of float64's sixteen.
    np.testing.assert_allclose(got.scatter, whole.scatter, atol=scale * (1e-10 if offset == 0 else 1e-8))
    np.testing.assert_allclose(got.sigma(), np.cov(x.T).reshape(d, d), atol=scale * 1e-9)


def test_file_and_back(tmp_path: Path) -> None:
    x, y = features(200, 12), features(150, 12, 1)
    path = tmp_path / "real.npz"
    write_statistics(path, Moments.of(x), extractor=EXTRACTOR, preparation={"size": 64})
    found = read_statistics(path)
    assert (found.n, found.extractor, found.preparation) == (200, EXTRACTOR, {"size": 64})
    assert found.gaussian.distance_to(Gaussian.of(y)) == pytest.approx(frechet_distance(x, y), rel=1e-9)
    assert found.gaussian.distance_to(Gaussian.of(x)) == pytest.approx(0, abs=1e-9)
    assert found.moments is not None
    both = found.moments.merged(Moments.of(y)).gaussian()
    assert both.distance_to(Gaussian.of(np.concatenate([x, y]))) == pytest.approx(0, abs=1e-9)


def test_pytorch_fid_reads_ours_and_we_read_its(tmp_path: Path) -> None:
    x = features(50, 6)
    ours, theirs = tmp_path / "ours.npz", tmp_path / "theirs.npz"
    write_statistics(ours, Moments.of(x), extractor=EXTRACTOR, preparation=None)
    mu, sigma = compute_statistics_of_path(str(ours), None, 1, 6, "cpu")
    np.testing.assert_allclose(mu, x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(sigma, np.cov(x.T), rtol=1e-12)
    np.savez_compressed(theirs, mu=mu, sigma=sigma)
    found = read_statistics(theirs)
    assert (found.n, found.moments, found.extractor, found.preparation) == (None, None, None, None)
    assert found.gaussian.distance_to(Gaussian.of(x)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("n", "tolerance"),
    # float32 keeps 2^-24 = 6e-8 of each entry. Below 40 pictures the covariance has no full rank, and what rounding
    # puts in its place is cut off. Measured: 2e-8 and 6e-8.
    [(400, 1e-6), (25, 1e-6)],
)
def test_compact_file_and_back(n: int, tolerance: float, tmp_path: Path) -> None:
    x, y = features(n, 40), features(150, 40, 1)
    full, compact = tmp_path / "full.npz", tmp_path / "compact.npz"
    for path, form in ((full, "full"), (compact, "compact")):
        write_statistics(path, Moments.of(x), extractor=EXTRACTOR, preparation={"size": 64}, form=form)
    found, kept = read_statistics(compact), read_statistics(full)
    assert (found.form, kept.form) == ("compact", "full")
    assert (found.n, found.extractor, found.preparation) == (n, EXTRACTOR, {"size": 64})
    np.testing.assert_array_equal(found.gaussian.mu, kept.gaussian.mu)
    assert len(found.gaussian.factor) == len(kept.gaussian.factor) == min(n - 1, 40)
    expected = frechet_distance(x, y)
    assert found.gaussian.distance_to(Gaussian.of(y)) == pytest.approx(expected, rel=tolerance)
    assert found.gaussian.distance_to(Gaussian.of(x)) == pytest.approx(0, abs=tolerance * expected)
    with np.load(compact) as arrays:
        assert arrays["sigma_upper"].dtype == np.float32
        assert arrays["sigma_upper"].shape == (40 * 41 // 2,)
        assert "sigma" not in arrays.files


def test_compact_parts_merge(tmp_path: Path) -> None:
    x = features(60, 40)
    parts = []
    for index, rows in enumerate(np.split(x, [25])):  # neither part has full rank
        path = tmp_path / f"{index}.npz"
        write_statistics(path, Moments.of(rows), extractor=EXTRACTOR, preparation=None, form="compact")
        part = read_statistics(path).moments
        assert part is not None
        parts.append(part)
    trace = np.trace(np.cov(x.T))
    assert merged(parts).gaussian().distance_to(Gaussian.of(x)) == pytest.approx(0, abs=1e-6 * trace)


def test_pytorch_fid_does_not_read_the_compact_form(tmp_path: Path) -> None:
    path = tmp_path / "compact.npz"
    write_statistics(path, Moments.of(features(50, 6)), extractor=EXTRACTOR, preparation=None, form="compact")
    with pytest.raises(KeyError, match="sigma"):
        compute_statistics_of_path(str(path), None, 1, 6, "cpu")


def test_refuses_damaged_compact_files(tmp_path: Path) -> None:
    good, path = tmp_path / "good.npz", tmp_path / "changed.npz"
    write_statistics(good, Moments.of(features(30, 4)), extractor=EXTRACTOR, preparation=None, form="compact")
    with np.load(good) as arrays:
        held = dict(arrays)
    upper = held["sigma_upper"]
    for change, match in (
        ({"sigma_upper": upper[:-1]}, r"sigma_upper is float32 \(9,\); a mean of 4 features needs float32 \(10,\)"),
        ({"sigma_upper": upper.astype(np.float64)}, "sigma_upper is float64"),
        ({"sigma_upper": -upper}, "negative eigenvalue"),
        ({"sigma_upper": np.full_like(upper, np.nan)}, "NaN"),
        ({"mu": np.array(["a"] * 4)}, "damaged"),
    ):
        np.savez(path, **(held | change))
        with pytest.raises(UserError, match=match):
            read_statistics(path)
    np.savez(path, **{name: held[name] for name in ("mu", "sigma_upper")})
    with pytest.raises(UserError, match="mu and sigma"):
        read_statistics(path)


def test_the_noise_floor_travels_with_them(tmp_path: Path) -> None:
    x, path = features(50, 6), tmp_path / "real.npz"
    floor = noise_floor_at(x, 25, 0)
    write_statistics(path, Moments.of(x), extractor=EXTRACTOR, preparation=None, floor=floor)
    assert read_statistics(path).floor == floor
    write_statistics(path, Moments.of(x), extractor=EXTRACTOR, preparation=None)
    assert read_statistics(path).floor is None


def test_from_moments_of_fewer_pictures_than_features() -> None:
    x, y = features(10, 20), features(12, 20, 1)
    stored = [Gaussian.from_moments(z.mean(axis=0), np.cov(z.T)) for z in (x, y)]
    assert [len(g.factor) for g in stored] == [9, 11], "the rank"
    assert stored[0].distance_to(stored[1]) == pytest.approx(frechet_distance(x, y), rel=1e-6)
    assert stored[0].distance_to(stored[0]) == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(stored[0].sigma(), np.cov(x.T), atol=1e-10)
    flat = Gaussian.from_moments(np.ones(3), np.zeros((3, 3)))
    assert flat.distance_to(Gaussian.from_moments(np.zeros(3), np.eye(3))) == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("mu", "sigma", "match"),
    [
        (np.zeros(3), np.eye(2), "a covariance"),
        (np.zeros((1, 2)), np.eye(2), "a covariance"),
        (np.zeros(2), np.diag([1.0, -0.1]), "negative eigenvalue"),
        (np.zeros(2), -np.eye(2), "negative eigenvalue"),
        (np.zeros(2), np.array([[1.0, 0.5], [0.0, 1.0]]), "not symmetric"),
        (np.array([0.0, np.nan]), np.eye(2), "NaN"),
        (np.zeros(2), np.diag([1.0, np.inf]), "NaN"),
    ],
)
def test_refuses_what_is_no_gaussian(mu: np.ndarray, sigma: np.ndarray, match: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=match):
        Gaussian.from_moments(mu, sigma)
    path = tmp_path / "stats.npz"
    np.savez(path, mu=mu, sigma=sigma)
    with pytest.raises(UserError, match=rf"stats\.npz: .*{match}"):
        read_statistics(path)


def test_refuses_damaged_files(tmp_path: Path) -> None:
    good = tmp_path / "good.npz"
    write_statistics(good, Moments.of(features(30, 4)), extractor=EXTRACTOR, preparation=None)
    whole = good.read_bytes()
    cases: dict[str, bytes] = {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"mu = 0"}
    for name, data in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(UserError, match=name):
            read_statistics(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_statistics(tmp_path / "missing.npz")
    with np.load(good) as arrays:
        held = dict(arrays)
    for change, match in (
        ({"facts": np.array('{"kind": "evalface-statistics", "version": 99}')}, "version 99"),
        ({"facts": np.array("{")}, "damaged"),
        ({"facts": np.array("[]")}, "damaged"),
        ({"facts": np.array('{"kind": "evalface-statistics", "version": 1, "floor": {"value": 1}}')}, "damaged"),
        ({"n": np.int64(1)}, "1 pictures"),
        ({"mu": np.array(["a"] * 4)}, "damaged"),
        ({"mu": np.array([{}] * 4, dtype=object)}, "damaged"),
    ):
        path = tmp_path / "changed.npz"
        np.savez(path, **(held | change))
        with pytest.raises(UserError, match=match):
            read_statistics(path)
    np.savez(tmp_path / "other.npz", x=np.ones(3))
    with pytest.raises(UserError, match="mu and sigma"):
        read_statistics(tmp_path / "other.npz")
    np.save(tmp_path / "array.npy", np.ones(3))
    with pytest.raises(UserError, match="mu and sigma"):
        read_statistics(tmp_path / "array.npy")
    with pytest.raises(UserError, match="cannot be written"):
        write_statistics(good / "below.npz", Moments.of(features(30, 4)), extractor=EXTRACTOR, preparation=None)


def test_floor_says_which_n_it_is_for() -> None:
    real = features(100, 4)
    assert (noise_floor_at(real, 30, 0).n, noise_floor_at(real, 30, 0).wanted) == (30, 30)
    assert (noise_floor_at(real, 500, 0).n, noise_floor_at(real, 500, 0).wanted) == (50, 500)
    order = np.random.default_rng(3).permutation(100)
    expected = frechet_distance(real[order[:30]], real[order[30:60]])
    assert noise_floor_at(real, 30, 3).value == pytest.approx(expected, rel=1e-12)
    with pytest.raises(UserError, match="at least 4"):
        noise_floor_at(real[:3], 30, 0)


def test_refuses_other_widths_and_single_rows() -> None:
    with pytest.raises(UserError, match="width"):
        Moments.of(features(5, 3)).merged(Moments.of(features(5, 2)))
    with pytest.raises(UserError, match="not 1"):
        Moments.of(features(1, 3)).sigma()
    with pytest.raises(UserError, match="width"):
        Gaussian.of(features(5, 3)).distance_to(Gaussian.of(features(5, 2)))
