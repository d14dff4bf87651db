"""A run folder from the outside: take it, go on in it or begin it, and leave it so that the same command goes on."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from evalface.files import sha256_of
from genface.errors import UserError
from trainface import atomic, checkpoint
from trainface.checkpoint import CHECKPOINT
from trainface.config import Config
from trainface.data.contact_sheet import contact_sheet
from trainface.data.dataset import FaceSet
from trainface.device import pick_device
from trainface.logbook import Logbook
from trainface.loop import BEST, train
from trainface.refusals import warnings
from trainface.report.run_report import finish, some_faces
from trainface.run_folder import hold, in_plain_words, restore
from trainface.trainer import Trainer
from trainface.transfer import start_from
from trainface.watch.gamma_probe import probe_gamma


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
    widths = f"widths {config.g_widths} and {config.d_widths}"
    with hold(run), in_plain_words(f"with batch {config.batch}, {widths}; give a smaller --batch"):
        state = checkpoint.load(run / CHECKPOINT) if (run / CHECKPOINT).exists() else None
        if state is not None and state["kind"] == checkpoint.WEIGHTS_KIND:
            raise UserError(
                f"{run / CHECKPOINT}: holds weights alone, which no run can go on from; begin another --run with them"
                " by --init-from"
            )
        faces = open_faces(config.size)
        if state is not None and beginning.probe_gamma:
            config = config.with_settings({"gamma": state["config"]["gamma"]})
        elif beginning.probe_gamma:
            gamma = probe_gamma(config, lambda candidate: _begun(candidate, faces, device, beginning)[0], _say)
            config = dataclasses.replace(config, gamma=gamma)
        if state is not None:
            trainer = Trainer(config, faces, device)
            restore(trainer, state, run / CHECKPOINT)
            _refuse_other_origin(trainer, beginning)
            logbook = Logbook(run, trainer.cur_nimg)
            _let_agree(trainer, run, logbook)
        else:
            trainer, line = _begun(config, faces, device, beginning)
            logbook = Logbook(run, 0)
            contact_sheet(faces).save(run / "contact-sheet.png")
            if line is not None:
                logbook.event(0, line)
        for note in [*trainer.notes, *warnings(config)]:
            logbook.say(note)
        if state is not None and trainer.cur_nimg >= config.kimg * 1000:
            logbook.say(
                f"done before: at {trainer.cur_nimg / 1000:.1f} of {config.kimg:g} kimg; a larger --kimg goes on"
            )
        else:
            atomic.write_text(run / "config.json", json.dumps(config.to_dict(), indent=1) + "\n")
            logbook.say(_opening(trainer, resumed=state is not None))
            if state is not None:
                _tell_moved_schedules(Config.from_dict(state["config"]), trainer, logbook)
            reached = train(trainer, run, logbook)
            logbook.say("done" if reached else "stopped; the same command goes on from here")
            if reached:
                finish(run, logbook.say, reals=some_faces(faces))
        logbook.close()
        if (run / CHECKPOINT).exists():
            print(f"{run / CHECKPOINT} at {trainer.cur_nimg / 1000:.1f} kimg")
    return trainer.cur_nimg >= config.kimg * 1000


def _begun(config: Config, faces: FaceSet, device: torch.device, beginning: Beginning) -> tuple[Trainer, str | None]:
    """A trainer at the beginning of its run, and a line on the weights that it begins with, if they are another's."""
    trainer = Trainer(config, faces, device)
    return trainer, _begin_from(trainer, beginning.init_from) if beginning.init_from is not None else None


def _refuse_other_origin(trainer: Trainer, beginning: Beginning) -> None:
    if beginning.init_from is not None and (trainer.origin or {}).get("sha256") != sha256_of(beginning.init_from):
        raise UserError(
            f"--init-from {beginning.init_from}: the run did not begin with this checkpoint; leave it out to go on, or"
            " take another --run"
        )


def _let_agree(trainer: Trainer, run: Path, logbook: Logbook) -> None:
    """Let the run's other checkpoints agree with the one that it goes on from."""
    later = [path for path in checkpoint.kept(run) if int(path.stem) > trainer.cur_nimg]
    for path in later:
        # Of a future that this run gave up, e.g. by a checkpoint.pt put back by hand; no roll-back may lead there.
        path.unlink()
    if later:
        logbook.say(f"removed {', '.join(path.name for path in later)}: later than where the run goes on from")
    try:
        best_kid = checkpoint.load(run / BEST).get("best_kid")
    except UserError:
        best_kid = None
    mine, at_end_of_tick = trainer.best_kid, trainer.cur_nimg == trainer.tick_began
    if mine is not None and (best_kid is None or mine < best_kid) and at_end_of_tick:
        # Killed after the best checkpoint was saved, and before it was called so.
        checkpoint.link(run / CHECKPOINT, run / BEST)
    elif best_kid is not None and (mine is None or best_kid < mine):
        trainer.best_kid = best_kid


def _tell_moved_schedules(before: Config, trainer: Trainer, logbook: Logbook) -> None:
    """Put it on record that another length moved the schedules: from here on the run is not what one command gives."""
    old, new = (before.decay_kimg or before.kimg, trainer.config.decay_kimg or trainer.config.kimg)
    if old != new:
        logbook.event(trainer.cur_nimg, f"the schedules, until here over {old:g} kimg, go on over {new:g}")


def _begin_from(trainer: Trainer, path: Path) -> str:
    """Put another run's weights into the networks; the averages begin with them, and the checkpoint remembers it."""
    state = checkpoint.load(path)
    line = start_from(trainer.config, state, trainer.G, trainer.D)
    trainer.bank.restart(trainer.G)
    trainer.origin = {
        "sha256": sha256_of(path),
        "data": state["data"]["name"],
        "cur_nimg": state["cur_nimg"],
        "origin": state["origin"],
    }
    return f"{path}: {line}"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _opening(trainer: Trainer, *, resumed: bool) -> str:
    return (
        f"{'going on' if resumed else 'starting'} at {trainer.cur_nimg / 1000:.1f} of {trainer.config.kimg:g} kimg on"
        f" {len(trainer.train_indices)} faces ({len(trainer.holdout_indices)} held out), {trainer.device},"
        f" {'bf16' if trainer.bf16 else 'fp32'}{', compiled' if trainer.compiled else ''}"
    )
