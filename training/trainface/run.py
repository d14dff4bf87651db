"""A run folder from the outside: take it, go on in it or begin it, and leave it so that the same command goes on."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from genface.errors import UserError
from genface.photos import OnBroken
from trainface import checkpoint
from trainface.config import Config
from trainface.dataset import FaceSet
from trainface.device import pick_device
from trainface.logbook import Logbook
from trainface.trainer import Trainer, train

CHECKPOINT = "checkpoint.pt"


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

    Raises UserError for settings or data that differ from the run's, and for a folder that another process holds.
    """
    device = pick_device(device_name)
    state = checkpoint.load(run / CHECKPOINT) if (run / CHECKPOINT).exists() else None
    if state is None and run.exists() and (not run.is_dir() or any(_foreign(run))):
        raise UserError(f"{run}: exists and is no run of trainface; give another --run")
    faces = open_faces(src, config.size, on_broken)
    trainer = Trainer(config, faces, device)
    if state is not None:
        trainer.load_state(state)
    run.mkdir(parents=True, exist_ok=True)
    with _lock(run):
        logbook = Logbook(run, trainer.cur_nimg)
        (run / "config.json").write_text(json.dumps(config.to_dict(), indent=1) + "\n")
        logbook.say(
            f"{'going on' if state else 'starting'} at {trainer.cur_nimg / 1000:.1f} of {config.kimg:g} kimg on"
            f" {len(trainer.train_indices)} faces ({len(trainer.holdout_indices)} held out), {device},"
            f" {'bf16' if trainer.bf16 else 'fp32'}{', compiled' if trainer.compiled else ''}"
        )
        reached = train(trainer, run, logbook)
        where = f"{run / CHECKPOINT} at {trainer.cur_nimg / 1000:.1f} kimg"
        logbook.say("done" if reached else "stopped; the same command goes on from here")
        print(where)
    return reached


def _foreign(run: Path) -> list[Path]:
    """What stands in the folder that no run of trainface would have written before its first checkpoint."""
    ours = {"config.json", "log.jsonl", "grids", ".lock", CHECKPOINT + ".tmp"}
    return [path for path in run.iterdir() if path.name not in ours]


@contextmanager
def _lock(run: Path) -> Iterator[None]:
    """Hold the run for this process; the system lets go of it however the process ends."""
    with (run / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(f"{run}: another trainface is at work in it") from error
        yield
