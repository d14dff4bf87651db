"""Latents in .npy files: checked, in bounded memory, and named by a hash of their numbers."""

from __future__ import annotations

import hashlib
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genface.errors import UserError
from genface.latents import MAX_INDEX, latents
from genface.new_file import new_file

ENDING = ".npy"
MAX_Z_DIM = 1 << 20
"""Far beyond any generator; a slip of the keyboard shall not fill the memory."""

_NPY = b"\x93NUMPY"
_CHUNK_NUMBERS = 1 << 17  # making latents takes about 150 bytes a number while it lasts
_NOT_NPY = {
    b"PK\x03\x04": "is an .npz, not an .npy file: save one array by numpy.save",
    b"\x80": "is a pickle, which is never loaded: save the array by numpy.save",
}


def read_latents(path: Path, z_dim: int) -> NDArray[np.float32]:
    """Read latents from an .npy file of shape [N, z_dim] or [N, z_dim, 1, 1] in a floating-point type.

    Returns float32 [N, z_dim]. What is float32 in the file stays there, mapped into memory and read when it is used, so
    memory is flat in N; other types are converted to a copy. Numbers of float64 that float32 cannot hold exactly are
    rounded, with a note on stderr.

    Raises UserError naming the file when it is missing, damaged, no .npy file, or holds another shape or type, or
    (naming the first such row) numbers that are not finite.
    """
    stored = _map(path)
    shape = list(stored.shape)
    if stored.ndim not in (2, 4) or stored.shape[2:] not in ((), (1, 1)):
        raise UserError(f"{path}: holds an array of shape {shape}, not [N, {z_dim}] or [N, {z_dim}, 1, 1]")
    if shape[1] != z_dim:
        raise UserError(f"{path}: holds {shape[1]} numbers a latent (shape {shape}), the generator takes {z_dim}")
    if stored.dtype.kind != "f" or stored.dtype.itemsize > 8:
        raise UserError(f"{path}: holds {stored.dtype} numbers, not float32; convert them by array.astype('float32')")
    rows = stored.reshape(len(stored), z_dim)
    as_stored = rows.dtype == np.float32 and rows.dtype.isnative
    kept: NDArray[np.float32] = rows.view(np.float32) if as_stored else np.empty(rows.shape, dtype=np.float32)
    rounded = False
    for part in _chunks(*rows.shape):
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is told below
            converted = rows[part].astype(np.float32)
        finite = np.isfinite(converted).all(axis=1)
        if not finite.all():
            row = part.start + int(np.argmin(finite))
            raise UserError(f"{path}: row {row} holds a number that is not finite (in float32); rows count from 0")
        if not as_stored:
            rounded = rounded or not np.array_equal(converted, rows[part])
            kept[part] = converted
    if rounded:
        print(f"{path}: its {rows.dtype} numbers were rounded to float32", file=sys.stderr)
    return kept


def write_latents(
    path: Path,
    *,
    n: int,
    z_dim: int,
    seed: int = 0,
    start: int = 0,
    truncation: float | None = None,
    force: bool = False,
) -> str:
    """Write the latents `start` to `start + n - 1` of a seed as float32 [n, z_dim]; gives their `latents_sha256`.

    Memory is flat in n. Raises UserError when an argument is out of its range or the file cannot be written.
    """
    if path.suffix.lower() != ENDING:
        raise UserError(f"{path}: latents are written as {ENDING} files; end the name so")
    if n < 1:
        raise UserError(f"n must be at least 1, not {n}")
    if not 1 <= z_dim <= MAX_Z_DIM:
        raise UserError(f"z_dim must be from 1 to {MAX_Z_DIM:,}, not {z_dim}")
    if not 0 <= start <= MAX_INDEX + 1 - n:
        raise UserError(f"indices run from 0 to 2^63 - 1: {n} of them cannot begin at {start}")
    digest = _digest(n, z_dim)
    latents(seed, [], z_dim, truncation=truncation)  # refuses what is out of range, before anything is written
    with new_file(path, force=force) as temporary, temporary.open("xb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (n, z_dim)})
        for part in _chunks(n, z_dim):
            indices = np.arange(start + part.start, start + part.stop, dtype=np.uint64)
            data = _little_endian(latents(seed, indices, z_dim, truncation=truncation))
            file.write(data)
            digest.update(data)
    return digest.hexdigest()


def latents_sha256(array: NDArray[np.float32]) -> str:
    """SHA-256, in hexadecimal, of latents [N, z_dim] as shape and little-endian float32 numbers, row by row.

    The type and the layout that a file stored them in do not matter, only what is drawn from.
    """
    digest = _digest(*array.shape)
    for part in _chunks(*array.shape):
        digest.update(_little_endian(array[part]))
    return digest.hexdigest()


def _map(path: Path) -> NDArray[np.generic]:
    """Map an .npy file into memory, or raise UserError."""
    if path.is_dir() or (path.exists() and not path.is_file()):
        raise UserError(f"{path}: is not a regular file; give an {ENDING} file of latents")
    try:
        with path.open("rb") as file:
            beginning = file.read(len(_NPY))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; make one by genface latents, or by numpy.save") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not beginning:
        raise UserError(f"{path}: is empty")
    if beginning != _NPY:
        reason = next((why for magic, why in _NOT_NPY.items() if beginning.startswith(magic)), f"is no {ENDING} file")
        raise UserError(f"{path}: {reason}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 has written
            stored = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # the header is parsed as Python, and fails in as many ways
        raise UserError(f"{path}: is damaged, or holds no numbers ({' '.join(str(error).split())[:200]})") from error
    if stored.size == 0:
        raise UserError(f"{path}: holds no latents (shape {list(stored.shape)})")
    beyond = path.stat().st_size - stored.offset - stored.nbytes
    if beyond:
        raise UserError(f"{path}: has {beyond:,} bytes after its array; save one array by numpy.save")
    return np.asarray(stored)


def _chunks(n: int, z_dim: int) -> Iterator[slice]:
    rows = max(1, _CHUNK_NUMBERS // z_dim)
    return (slice(start, min(start + rows, n)) for start in range(0, n, rows))


def _little_endian(array: NDArray[np.float32]) -> bytes:
    return array.astype("<f4").tobytes()


def _digest(n: int, z_dim: int) -> hashlib._Hash:
    return hashlib.sha256(f"float32 [{n}, {z_dim}]\n".encode())
