"""Weights from a file that a stranger may have made."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch

from genface.errors import UserError


def read_state(path: Path, form: str) -> tuple[dict[str, torch.Tensor], str]:
    """The state dictionary in `path` and the SHA-256 of the bytes that it was read from.

    Hash and tensors come through one open file, so they belong together even if the file is replaced meanwhile. No code
    from the file is run. Raises UserError, saying that `form` was expected, for whatever is no such dictionary.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            state: Any = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch raises whatever the file leads to: UnpicklingError, RuntimeError, KeyError, EOFError, TypeError ...
        raise not_such_weights(path, form, error) from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise not_such_weights(path, form, TypeError("no dictionary of tensors"))
    return state, digest


def not_such_weights(path: Path, form: str, error: Exception) -> UserError:
    """The error to raise where `path` does not hold weights in this form."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return UserError(f"{path}: not {form} ({reason[:200]})")
