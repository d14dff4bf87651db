"""checkpoint.pt: a plain dict of tensors, numbers and strings, complete under its name or not there at all."""

from __future__ import annotations

import errno
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import torch

from genface.errors import UserError
from trainface import atomic

KIND = "trainface-checkpoint"
FORMAT_VERSION = 1


def save(state: dict[str, Any], path: Path) -> None:
    """Write `state`; a full disk is an OSError that names the file, and leaves the previous checkpoint as it was."""

    def fill(file: BinaryIO) -> None:
        try:
            torch.save({"kind": KIND, "format_version": FORMAT_VERSION, **state}, file)
        except RuntimeError as error:
            # torch's zip writer turns a failed write into a RuntimeError.
            raise OSError(errno.EIO, f"cannot be written ({error})") from error

    atomic.write(path, fill)


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; only weights and plain values are unpickled, never code.

    Raises UserError when the file is missing, truncated, damaged, something else, or of a newer format.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give the checkpoint.pt of a run")
    if not path.exists():
        raise UserError(f"{path}: no such checkpoint")
    _refuse_damage(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(f"{path}: refused, since it holds more than tensors and plain values") from error
    except Exception as error:
        # A pickle that lies fails in as many ways as there are opcodes.
        raise UserError(f"{path}: not a checkpoint of trainface, or damaged") from error
    if not isinstance(state, dict) or state.get("kind") != KIND:
        raise UserError(f"{path}: not a checkpoint of trainface")
    if state.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"{path}: checkpoint format {state.get('format_version')}, but this trainface reads {FORMAT_VERSION}:"
            " use the version that wrote it"
        )
    return state


def _refuse_damage(path: Path) -> None:
    """Check every record's CRC: torch's own reader does not, and would train on with a flipped bit."""
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path}: not a checkpoint of trainface, or cut short")
    try:
        with zipfile.ZipFile(path) as records:
            bad = records.testzip()
    except Exception as error:  # zlib, struct and zipfile each have their own
        raise UserError(f"{path}: damaged ({error})") from error
    if bad is not None:
        raise UserError(f"{path}: damaged, its record {bad} does not match its checksum; take an earlier checkpoint")
