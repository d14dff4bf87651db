"""A run folder from the outside: held by one process at a time, and never taken for another's."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch

from genface.errors import UserError
from trainface import checkpoint
from trainface.checkpoint import CHECKPOINT

_LOCK = ".lock"


class Resumable(Protocol):
    """What goes on from a checkpoint."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over everything of `state`; raises UserError for one of another run."""


def restore(resumable: Resumable, state: dict[str, Any], path: Path) -> None:
    """Let `resumable` go on from the `state` of the checkpoint at `path`; raises UserError for one that is damaged."""
    try:
        resumable.load_state(state)
    except UserError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: damaged, it lacks or garbles {reason}; take another --run") from error


@contextmanager
def in_plain_words(way_out: str) -> Iterator[None]:
    """Say in one line what torch says in a hundred: no memory; `way_out` says with what, and what to do."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error):
            raise UserError(f"out of memory {way_out}") from error
        raise


@contextmanager
def hold(run: Path) -> Iterator[None]:
    """Take the run folder for this process, making it if need be; the system lets go however the process ends.

    A folder in which nothing came to be is taken away again.
    """
    if run.is_dir() and not (run / CHECKPOINT).exists() and (kept := checkpoint.kept(run)):
        raise UserError(
            f"{run}: has lost its {CHECKPOINT}; copy {kept[0]} there to go on from it, or give another --run"
        )
    if run.exists() and (not run.is_dir() or _is_foreign(run)):
        raise UserError(f"{run}: exists and is no run of trainface; give another --run")
    run.mkdir(parents=True, exist_ok=True)
    with (run / _LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(f"{run}: another trainface is at work in it") from error
        try:
            for left in run.rglob(".*.tmp"):
                left.unlink()  # what a killed process was writing
            yield
        finally:
            if [path.name for path in run.iterdir()] == [_LOCK]:
                (run / _LOCK).unlink()
                run.rmdir()


def _is_foreign(run: Path) -> bool:
    """Whether a folder without a checkpoint holds what no run of trainface would have written before its first."""
    if (run / CHECKPOINT).exists():
        return False
    ours = {"config.json", "log.jsonl", "grids", "tensorboard", "contact-sheet.png", "checkpoints", _LOCK}
    return any(path.name not in ours and not path.name.endswith(".tmp") for path in run.iterdir())
