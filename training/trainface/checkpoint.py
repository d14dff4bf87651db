"""checkpoint.pt: a plain dict of tensors, numbers and strings, complete under its name or not there at all."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from genface.errors import UserError

KIND = "trainface-checkpoint"
FORMAT_VERSION = 1


def save(state: dict[str, Any], path: Path) -> None:
    """Write `state` under a temporary name, fsync, rename. A full disk leaves the previous checkpoint as it was."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            torch.save({"kind": KIND, "format_version": FORMAT_VERSION, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except RuntimeError as error:
        # torch's zip writer turns a full disk into a RuntimeError.
        raise OSError(None, f"cannot be written ({error})", str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; only weights and plain values are unpickled, never code.

    Raises UserError when the file is missing, truncated, something else, or of a newer format.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint")
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path}: not a checkpoint of trainface, or cut short")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(f"{path}: refused, since it holds more than tensors and plain values") from error
    except (RuntimeError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not a checkpoint of trainface, or damaged") from error
    if not isinstance(state, dict) or state.get("kind") != KIND:
        raise UserError(f"{path}: not a checkpoint of trainface")
    if state["format_version"] != FORMAT_VERSION:
        raise UserError(
            f"{path}: checkpoint format {state['format_version']}, but this trainface reads {FORMAT_VERSION}:"
            " use the version that wrote it"
        )
    return state
