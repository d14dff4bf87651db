"""The folder of a supervised run: take it, go on in it or begin it, and say at the end what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch

from trainface import atomic, checkpoint
from trainface.checkpoint import CHECKPOINT
from trainface.device import pick_device
from trainface.history import read_history
from trainface.logbook import Logbook
from trainface.run_folder import hold, in_plain_words, restore
from trainface.supervised.config import SupervisedConfig
from trainface.supervised.learner import Learner
from trainface.supervised.loop import train
from trainface.supervised.task import Task


def train_run(
    run: Path,
    config: SupervisedConfig,
    *,
    device_name: str,
    kind: str,
    format_version: int,
    open_task: Callable[[torch.device], Task],
) -> bool:
    """Begin the run in the folder `run`, or go on with it; True when it reached its length.

    `open_task` prepares the data and builds the networks, in torch's stream that is seeded here; it is called after a
    checkpoint of another kind was refused. Raises UserError for settings or data that differ from the run's, for a
    folder that another process holds, and for what the device cannot do.
    """
    device = pick_device(device_name)
    with hold(run), in_plain_words(f"with batch {config.batch}; give a smaller one by --set batch=N"):
        resumed = (run / CHECKPOINT).exists()
        state = checkpoint.load_kind(run / CHECKPOINT, kind, format_version) if resumed else None
        torch.manual_seed(config.seed)
        task = open_task(device)
        assert (task.kind, task.format_version) == (kind, format_version), "the caller names the task's own kind"
        learner = Learner(config, task, device)
        if state is not None:
            restore(learner, state, run / CHECKPOINT)
        logbook = Logbook(run, learner.cur_nimg, task.said)
        _forget_later_checkpoints(run, learner.cur_nimg, logbook)
        if learner.cur_nimg >= config.kimg * 1000:
            at = f"at {learner.cur_nimg / 1000:.1f} of {config.kimg:g} kimg"
            logbook.say(f"done before: {at}; a larger --kimg goes on")
        else:
            atomic.write_text(run / "config.json", json.dumps(config.to_dict(), indent=1) + "\n")
            if state is not None:
                _tell_moved_schedules(type(config).from_dict(state["config"]), learner, logbook)
            logbook.say(_opening(learner, resumed=resumed))
            reached = train(learner, run, logbook)
            logbook.say("done" if reached else "stopped; the same command goes on from here")
        logbook.close()
        print(_closing(run, learner))
    return learner.cur_nimg >= config.kimg * 1000


def _forget_later_checkpoints(run: Path, cur_nimg: int, logbook: Logbook) -> None:
    """Remove kept checkpoints of a future that this run gave up, e.g. by a checkpoint.pt put back by hand."""
    later = [path for path in checkpoint.kept(run) if int(path.stem) > cur_nimg]
    for path in later:
        path.unlink()
    if later:
        logbook.say(f"removed {', '.join(path.name for path in later)}: later than where the run goes on from")


def _tell_moved_schedules(before: SupervisedConfig, learner: Learner, logbook: Logbook) -> None:
    """Put it on record that another length moved the schedules: from here on the run is not what one command gives."""
    old, new = (before.decay_kimg or before.kimg, learner.config.decay_kimg or learner.config.kimg)
    if old != new:
        logbook.event(learner.cur_nimg, f"the schedules, until here over {old:g} kimg, go on over {new:g}")


def _opening(learner: Learner, *, resumed: bool) -> str:
    return (
        f"{'going on' if resumed else 'starting'} at {learner.cur_nimg / 1000:.1f} of {learner.config.kimg:g} kimg on"
        f" {learner.task.opening()}, {learner.device}, {'bf16' if learner.bf16 else 'fp32'}"
    )


def _closing(run: Path, learner: Learner) -> str:
    """The line of the result: the checkpoint, its time, and the last tick's numbers for people."""
    history = read_history(run)
    last = history.ticks[-1] if history.ticks else {}
    numbers = "".join(f"  {name} {last[name]:.4g}" for name in learner.task.said if last.get(name) is not None)
    return f"{run / CHECKPOINT} at {learner.cur_nimg / 1000:.1f} kimg, {history.seconds:.0f} s{numbers}"
