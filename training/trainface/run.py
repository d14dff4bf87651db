"""A run folder from the outside: take it, go on in it or begin it, and leave it so that the same command goes on."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genface.errors import UserError
from trainface import atomic, checkpoint
from trainface.config import Config
from trainface.data.contact_sheet import contact_sheet
from trainface.data.dataset import FaceSet
from trainface.device import pick_device
from trainface.logbook import Logbook
from trainface.loop import CHECKPOINT, train
from trainface.refusals import warnings
from trainface.report.run_report import MEASURED, finish
from trainface.trainer import Trainer
from trainface.transfer import start_from
from trainface.watch.gamma_probe import probe_gamma

_LOCK = ".lock"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Beginning:
    """What counts for the first start of a run only; a run that goes on has it in its checkpoint."""

    init_from: Path | None = None
    """Checkpoint whose weights the run begins with."""
    probe_gamma: bool = False
    """Find gamma on the run's own data first."""


def train_run(
    run: Path, config: Config, *, device_name: str, open_faces: Callable[[int], FaceSet], beginning: Beginning
) -> bool:
    """Begin the run in the folder `run`, or go on with it; True when it reached its length.

    `open_faces` prepares the data at a size in pixels. Raises UserError for settings or data that differ from the
    run's, for a folder that another process holds, and for what the device or the compiler cannot do.
    """
    device = pick_device(device_name)
    with _hold(run), _in_plain_words(config):
        for left in run.rglob(".*.tmp"):
            left.unlink()  # what a killed process was writing
        state = checkpoint.load(run / CHECKPOINT) if (run / CHECKPOINT).exists() else None
        faces = open_faces(config.size)
        if state is not None and beginning.probe_gamma:
            config = config.with_settings({"gamma": state["config"]["gamma"]})
        elif beginning.probe_gamma:
            gamma = probe_gamma(config, lambda candidate: Trainer(candidate, faces, device), _say)
            config = dataclasses.replace(config, gamma=gamma)
        trainer = Trainer(config, faces, device)
        logbook = Logbook(run, int(state["cur_nimg"]) if state is not None else 0)
        if state is not None:
            _restore(trainer, state, run / CHECKPOINT)
        else:
            contact_sheet(faces).save(run / "contact-sheet.png")
            if beginning.init_from is not None:
                logbook.event(0, _begin_from(trainer, beginning.init_from))
        for note in [*trainer.notes, *warnings(config)]:
            logbook.say(note)
        if state is not None and trainer.cur_nimg >= config.kimg * 1000:
            logbook.say(
                f"done before: at {trainer.cur_nimg / 1000:.1f} of {config.kimg:g} kimg; a larger --kimg goes on"
            )
        else:
            atomic.write_text(run / "config.json", json.dumps(config.to_dict(), indent=1) + "\n")
            logbook.say(_opening(trainer, resumed=state is not None))
            reached = train(trainer, run, logbook)
            logbook.say("done" if reached else "stopped; the same command goes on from here")
            if reached:
                finish(run, logbook.say, reals=_some(faces))
        if (run / CHECKPOINT).exists():
            print(f"{run / CHECKPOINT} at {trainer.cur_nimg / 1000:.1f} kimg")
    return trainer.cur_nimg >= config.kimg * 1000


def _begin_from(trainer: Trainer, path: Path) -> str:
    """Put another run's weights into the networks; the averages begin with them, and the checkpoint remembers it."""
    state = checkpoint.load(path)
    line = start_from(trainer.config, state, trainer.G, trainer.D)
    trainer.bank.restart(trainer.G)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    trainer.origin = {
        "sha256": digest,
        "data": state["data"]["name"],
        "cur_nimg": state["cur_nimg"],
        "origin": state["origin"],
    }
    return f"{path}: {line}"


def _some(faces: FaceSet) -> NDArray[np.uint8]:
    """Enough faces of the data to measure a report's pictures against."""
    originals = faces.originals
    return np.asarray(faces.images[originals[:: max(1, len(originals) // MEASURED)]])


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _opening(trainer: Trainer, *, resumed: bool) -> str:
    return (
        f"{'going on' if resumed else 'starting'} at {trainer.cur_nimg / 1000:.1f} of {trainer.config.kimg:g} kimg on"
        f" {len(trainer.train_indices)} faces ({len(trainer.holdout_indices)} held out), {trainer.device},"
        f" {'bf16' if trainer.bf16 else 'fp32'}{', compiled' if trainer.compiled else ''}"
    )


def _restore(trainer: Trainer, state: dict[str, Any], path: Path) -> None:
    try:
        trainer.load_state(state)
    except UserError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: damaged, it lacks or garbles {reason}; take another --run") from error


@contextmanager
def _in_plain_words(config: Config) -> Iterator[None]:
    """Say in one line what torch says in a hundred: no memory."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error):
            raise UserError(
                f"out of memory with batch {config.batch}, widths {config.g_widths} and {config.d_widths};"
                " give a smaller --batch"
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
    ours = {"config.json", "log.jsonl", "grids", "tensorboard", "contact-sheet.png", "checkpoints", _LOCK}
    return any(path.name not in ours and not path.name.endswith(".tmp") for path in run.iterdir())
