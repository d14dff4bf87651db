from __future__ import annotations

import hashlib
import io
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from genface import latents_file
from genface.errors import UserError
from genface.latents import latents
from genface.latents_file import latents_sha256, read_latents, write_latents

Z = latents(0, range(5), 8)


def saved(path: Path, array: NDArray[np.generic]) -> Path:
    np.save(path, array)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "z.npy"


def test_what_is_written_is_the_seeds_latents(file: Path) -> None:
    sha256 = write_latents(file, n=7, z_dim=10, seed=3, start=2, truncation=0.7)
    expected = latents(3, range(2, 9), 10, truncation=0.7)
    loaded = np.load(file)
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, expected)
    np.testing.assert_array_equal(read_latents(file, 10), expected)
    assert sha256 == latents_sha256(expected)
    assert [path.name for path in file.parent.iterdir()] == ["z.npy"]


def test_the_same_file_in_pieces_of_any_size(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = write_latents(file, n=11, z_dim=8)
    data = file.read_bytes()
    monkeypatch.setattr(latents_file, "_CHUNK_NUMBERS", 24)
    assert write_latents(file, n=11, z_dim=8, force=True) == sha256
    assert file.read_bytes() == data
    assert latents_sha256(read_latents(file, 8)) == sha256


def test_the_hash_is_of_shape_and_numbers_alone(file: Path) -> None:
    expected = hashlib.sha256(b"float32 [5, 8]\n" + Z.astype("<f4").tobytes()).hexdigest()
    stored = [Z, np.asfortranarray(Z), Z.astype(">f4"), Z.astype(np.float64), Z[:, :, None, None]]
    for array in stored:
        assert latents_sha256(read_latents(saved(file, array), 8)) == expected
    assert latents_sha256(Z.reshape(8, 5)) != expected
    assert latents_sha256(Z[::-1]) != expected


def test_float64_is_rounded_and_told(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exact = np.random.default_rng(0).normal(size=(5, 8))
    rows = read_latents(saved(file, exact), 8)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, exact.astype(np.float32))
    assert capsys.readouterr().err == f"{file}: its float64 numbers were rounded to float32\n"


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f2", "<f8"])
def test_nothing_is_told_where_no_number_changed(file: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    halves = Z.astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(read_latents(saved(file, halves.astype(kind)), 8), halves)
    assert capsys.readouterr().err == ""


def test_a_large_file_stays_on_the_disk(file: Path) -> None:
    n = 200_000  # 51 MB
    tracemalloc.start()
    try:
        sha256 = write_latents(file, n=n, z_dim=64)
        rows = read_latents(file, 64)
        assert latents_sha256(rows) == sha256
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40e6
    np.testing.assert_array_equal(rows[-1:], latents(0, [n - 1], 64))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (Z[0], r"shape \[8\], not \[N, 8\]"),
        (Z[None], r"shape \[1, 5, 8\]"),
        (Z[:, :, None], r"shape \[5, 8, 1\]"),
        (Z.reshape(5, 2, 2, 2), r"shape \[5, 2, 2, 2\]"),
        (np.float32(1), r"shape \[\]"),
        (Z[:, :7], r"7 numbers a latent \(shape \[5, 7\]\), the generator takes 8"),
        (Z.astype(np.int64), "int64 numbers, not float32"),
        (Z.astype(np.complex64), "complex64 numbers, not float32"),
        (Z > 0, "bool numbers, not float32"),
        (np.zeros((5, 8), np.dtype([("x", "f4")])), "not float32"),
        (np.full((5, 8), "0"), "not float32"),
        (Z[:0], "no latents"),
        (np.zeros((5, 0), np.float32), "no latents"),
    ],
)
def test_what_is_no_latents_is_refused(file: Path, array: NDArray[np.generic], message: str) -> None:
    with pytest.raises(UserError, match=message) as refusal:
        read_latents(saved(file, array), 8)
    assert str(refusal.value).startswith(str(file))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_the_first_row_that_is_not_finite_is_named(file: Path, bad: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latents_file, "_CHUNK_NUMBERS", 16)
    broken = Z.astype(np.float64)
    broken[3, 2] = broken[4, 0] = bad
    with pytest.raises(UserError, match="row 3 holds a number that is not finite"):
        read_latents(saved(file, broken), 8)


def test_pickled_objects_are_never_loaded(file: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (pytest.fail, ("was unpickled",))

    file.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(UserError, match="is a pickle, which is never loaded"):
        read_latents(file, 8)
    np.save(file, np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="is damaged, or holds no numbers"):
        read_latents(file, 8)


def test_other_files_are_named_for_what_they_are(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_latents(tmp_path / "missing.npy", 8)
    with pytest.raises(UserError, match="not a regular file"):
        read_latents(tmp_path, 8)
    np.savez(tmp_path / "z.npz", z=Z)
    with pytest.raises(UserError, match=r"is an \.npz"):
        read_latents(tmp_path / "z.npz", 8)
    for content, message in ((b"", "is empty"), (b"\x93NUM", r"no \.npy file"), (b"1.0,2.0\n", r"no \.npy file")):
        file.write_bytes(content)
        with pytest.raises(UserError, match=message):
            read_latents(file, 8)


def test_every_truncation_and_every_addition_is_refused(file: Path) -> None:
    whole = saved(file, Z).read_bytes()
    for size in [*range(1, 130), len(whole) - 1]:
        file.write_bytes(whole[:size])
        with pytest.raises(UserError, match=str(file)):
            read_latents(file, 8)
    second = io.BytesIO()
    np.save(second, Z)
    file.write_bytes(whole + second.getvalue())
    with pytest.raises(UserError, match="288 bytes after its array"):
        read_latents(file, 8)


def test_a_damaged_header_is_an_error_or_right(file: Path) -> None:
    whole = bytearray(saved(file, Z).read_bytes())
    rng = np.random.default_rng(0)
    for _ in range(300):
        mutated = whole.copy()
        mutated[rng.integers(6, 100)] = rng.integers(256)
        file.write_bytes(mutated)
        try:
            rows = read_latents(file, 8)
        except UserError as error:
            assert str(file) in str(error)  # noqa: PT017  # either way is right
        else:
            assert rows.shape == (5, 8)
            assert np.isfinite(rows).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n must be at least 1"),
        ({"z_dim": 0}, "z_dim must be from 1"),
        ({"z_dim": 1 << 21}, "z_dim must be from 1 to 1,048,576"),
        ({"seed": -1}, "seed must be"),
        ({"seed": 1 << 64}, "seed must be"),
        ({"start": -1}, "indices run from 0"),
        ({"start": (1 << 63) - 4}, "indices run from 0"),
        ({"truncation": 0.0}, "truncation must be"),
        ({"truncation": float("nan")}, "truncation must be"),
    ],
)
def test_bad_options_write_nothing(file: Path, options: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        write_latents(file, **{"n": 5, "z_dim": 8, **options})  # type: ignore[arg-type]
    assert not list(file.parent.iterdir())


def test_the_last_index_of_all_can_be_written(file: Path) -> None:
    write_latents(file, n=5, z_dim=8, start=(1 << 63) - 5)
    np.testing.assert_array_equal(read_latents(file, 8)[-1:], latents(0, [(1 << 63) - 1], 8))


def test_places_that_do_not_do(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"are written as \.npy"):
        write_latents(tmp_path / "z.bin", n=1, z_dim=8)
    with pytest.raises(UserError, match="nowhere does not exist"):
        write_latents(tmp_path / "nowhere" / "z.npy", n=1, z_dim=8)
    file.write_bytes(b"mine")
    with pytest.raises(UserError, match="exists already"):
        write_latents(file, n=1, z_dim=8)
    assert file.read_bytes() == b"mine"
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(UserError, match="is not a file"):
        write_latents(tmp_path / "folder.npy", n=1, z_dim=8, force=True)


def test_a_full_disk_keeps_what_was_there(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_bytes(b"mine")

    def full(*_: object, **__: object) -> NDArray[np.float32]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(latents_file, "_little_endian", full)
    with pytest.raises(UserError, match="No space left on device"):
        write_latents(file, n=1, z_dim=8, force=True)
    assert [path.name for path in file.parent.iterdir()] == ["z.npy"]
    assert file.read_bytes() == b"mine"
