"""A run folder from the outside: take it, go on in it or begin it, and leave it so that the same command goes on."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from genface.errors import UserError
from genface.photos import OnBroken
from trainface import atomic, checkpoint
from trainface.config import Config
from trainface.dataset import FaceSet
from trainface.device import pick_device
from trainface.logbook import Logbook
from trainface.trainer import CHECKPOINT, Trainer, train

_LOCK = ".lock"


def train_run(
    src: str,
    run: Path,
    config: Config,
    *,
    device_name: str,
    on_broken: OnBroken,
    open_faces: Callable[[str, int, OnBroken], FaceSet],
) -> bool:
    """Begin the run in the folder `run`, or go on with it; True when it reached its length.

    Raises UserError for settings or data that differ from the run's, for a folder that another process holds, and for
    what the device or the compiler cannot do.
    """
    device = pick_device(device_name)
    with _hold(run), _in_plain_words(config):
        state = checkpoint.load(run / CHECKPOINT) if (run / CHECKPOINT).exists() else None
        faces = open_faces(src, config.size, on_broken)
        trainer = Trainer(config, faces, device)
        if state is not None:
            _restore(trainer, state, run / CHECKPOINT)
        logbook = Logbook(run, trainer.cur_nimg)
        if state is not None and trainer.cur_nimg >= config.kimg * 1000:
            logbook.say(
                f"done before: at {trainer.cur_nimg / 1000:.1f} of {config.kimg:g} kimg; a larger --kimg goes on"
            )
        else:
            atomic.write_text(run / "config.json", json.dumps(config.to_dict(), indent=1) + "\n")
            logbook.say(_opening(trainer, resumed=state is not None))
            reached = train(trainer, run, logbook)
            logbook.say("done" if reached else "stopped; the same command goes on from here")
        if (run / CHECKPOINT).exists():
            print(f"{run / CHECKPOINT} at {trainer.cur_nimg / 1000:.1f} kimg")
    return trainer.cur_nimg >= config.kimg * 1000


def _opening(trainer: Trainer, *, resumed: bool) -> str:
    return (
        f"{'going on' if resumed else 'starting'} at {trainer.cur_nimg / 1000:.1f} of {trainer.config.kimg:g} kimg on"
        f" {len(trainer.train_indices)} faces ({len(trainer.holdout_indices)} held out), {trainer.device},"
        f" {'bf16' if trainer.bf16 else 'fp32'}{', compiled' if trainer.compiled else ''}"
    )


def _restore(trainer: Trainer, state: dict[str, object], path: Path) -> None:
    try:
        trainer.load_state(state)
    except UserError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: damaged, it lacks or garbles {reason}; take another --run") from error


@contextmanager
def _in_plain_words(config: Config) -> Iterator[None]:
    """Say in one line what torch says in a hundred: no memory, no working compiler."""
    try:
        yield
    except RuntimeError as error:
        kind = type(error).__module__
        if isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error):
            raise UserError(
                f"out of memory with batch {config.batch}, widths {config.g_widths} and {config.d_widths};"
                " give a smaller --batch"
            ) from error
        if kind.startswith(("torch._dynamo", "torch._inductor")):
            first = next((line for line in str(error).splitlines() if line.strip()), kind)
            raise UserError(
                f"torch.compile failed ({first.strip()[:200]}); go on without it: --set compile=off"
            ) from error
        raise


@contextmanager
def _hold(run: Path) -> Iterator[None]:
    """Take the run folder for this process, making it if need be; the system lets go however the process ends.

    A folder in which nothing came to be is taken away again.
    """
    if run.exists() and (not run.is_dir() or _is_foreign(run)):
        raise UserError(f"{run}: exists and is no run of trainface; give another --run")
    run.mkdir(parents=True, exist_ok=True)
    with (run / _LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(f"{run}: another trainface is at work in it") from error
        try:
            yield
        finally:
            if [path.name for path in run.iterdir()] == [_LOCK]:
                (run / _LOCK).unlink()
                run.rmdir()


def _is_foreign(run: Path) -> bool:
    """Whether a folder without a checkpoint holds what no run of trainface would have written before its first."""
    if (run / CHECKPOINT).exists():
        return False
    ours = {"config.json", "log.jsonl", "grids", _LOCK}
    return any(path.name not in ours and not path.name.endswith(".tmp") for path in run.iterdir())
