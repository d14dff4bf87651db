"""Features on the disk, by picture: a block of rows per file, one folder for each way of making them.

A feature depends on its picture, the preparation and the extractor, and on nothing else: so a row is kept under the
picture's hash, in the folder (the "book") of everything else. Then a killed run goes on after its last block, a set
that has grown is computed only where it has grown, and shards, subsets and copies share what they have in common.

A block appears whole by a rename and is never changed, so any number of processes may read and write at once: at worst
two compute the same block, and the second rename puts equal bytes in place. A block that is damaged in any way is
removed and counts as never computed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalface.files import cache_folder, write_whole, written_whole

BLOCK = 256
"""Rows of a block: what a kill costs at most, seconds of work; 10,000 pictures are 40 files."""

ABOUT = "about.json"
"""The file in each book that tells what it is of."""
BLOCK_NAME = re.compile(r"[0-9a-f]{32}\.npz")
_HASH_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some pictures of a book."""

    digests: list[str]
    """Of the pictures that have features, in the order of the rows."""
    values: NDArray[Any]
    """[len(digests), d]."""
    broken: dict[str, str]
    """Pictures that have none: digest to reason."""


class Book:
    """All rows that one extractor has made of pictures prepared in one way."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        """`facts`: everything beside the picture that can change a feature, as JSON types."""
        self._facts = json.dumps(facts, sort_keys=True, indent=1)
        self.folder = books_folder() / hashlib.sha256(self._facts.encode()).hexdigest()[:32]

    def read(self, wanted: AbstractSet[str]) -> Iterator[Block]:
        """Blocks that hold pictures of `wanted`, until each was found once or no block is left."""
        left = set(wanted)
        for path in block_paths(self.folder):
            if not left:
                return
            block = _read_block(path, left)
            if block is not None:
                left.difference_update(block.digests, block.broken)
                with contextlib.suppress(OSError):
                    os.utime(path)
                yield block

    def write(self, block: Block) -> None:
        """Keep a block. A cache that cannot be written is no error: it only saves work."""
        hashes = [*block.digests, *block.broken]
        if not hashes:
            return
        name = hashlib.sha256("\n".join(hashes).encode()).hexdigest()[:32]
        with contextlib.suppress(OSError):
            about = self.folder / ABOUT
            if not about.exists():
                write_whole(about, self._facts)
            with written_whole(self.folder / f"{name}.npz") as file:
                np.savez(
                    file,
                    digests=_packed(hashes),
                    values=block.values,
                    reasons=np.array(json.dumps(list(block.broken.values()))),
                )


def books_folder() -> Path:
    """Where all books are kept."""
    return cache_folder() / "features"


def _read_block(path: Path, wanted: AbstractSet[str]) -> Block | None:
    """The block if it holds any of `wanted` and is whole; a damaged one is removed."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            hashes = unpacked(arrays["digests"])
            if wanted.isdisjoint(hashes):
                return None
            values, reasons = arrays["values"], json.loads(str(arrays["reasons"]))  # their CRCs are checked here
        rows = len(hashes) - len(reasons)
        if values.ndim != 2 or len(values) != rows:
            raise ValueError(f"{len(hashes)} pictures, {len(reasons)} broken, features {values.shape}")
        return Block(digests=hashes[:rows], values=values, broken=dict(zip(hashes[rows:], reasons, strict=True)))
    except OSError:  # gone meanwhile, or not ours to read
        return None
    except Exception:  # json, zipfile and numpy raise whatever the damage leads to, up to MemoryError
        with contextlib.suppress(OSError):
            path.unlink()
        return None


def _packed(digests: Sequence[str]) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(len(digests), _HASH_BYTES)


def unpacked(rows: NDArray[np.uint8]) -> list[str]:
    """The digests in a block's array of them."""
    text = np.ascontiguousarray(rows.reshape(-1, _HASH_BYTES)).tobytes().hex()
    return [text[start : start + 2 * _HASH_BYTES] for start in range(0, len(text), 2 * _HASH_BYTES)]


def block_paths(folder: Path) -> list[Path]:
    """Paths of the blocks in a book; none where there is no book."""
    try:
        return sorted(path for path in folder.iterdir() if BLOCK_NAME.fullmatch(path.name))
    except OSError:
        return []
