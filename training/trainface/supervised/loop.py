"""The supervised training loop: paragraphs from one tick to the next."""

from __future__ import annotations

import time
from pathlib import Path

from genface.errors import UserError
from trainface import checkpoint
from trainface.checkpoint import CHECKPOINT
from trainface.device import tune
from trainface.logbook import Logbook
from trainface.stop import stop_requests
from trainface.supervised.learner import Learner


def train(learner: Learner, run: Path, logbook: Logbook) -> bool:
    """Train to the configured length; True when it got there, False when it was asked to stop before.

    Ctrl-C and SIGTERM end the run after the current step, with a checkpoint. Raises UserError when weights are no
    longer finite; the last checkpoint is then from before.
    """
    config = learner.config
    total_nimg, tick_nimg = round(config.kimg * 1000), round(config.tick_kimg * 1000)
    tune(learner.device)
    with stop_requests() as stop_requested:
        if learner.cur_nimg == 0:
            _save(learner, run)
            logbook.grid(learner.pictures(), 0, learner.task.columns)
        while learner.cur_nimg < total_nimg and not stop_requested():
            tick_end = min((learner.cur_nimg // tick_nimg + 1) * tick_nimg, total_nimg)
            started, started_nimg = time.perf_counter(), learner.cur_nimg

            # Train until the tick is over. Nothing in here waits for the device.
            while learner.cur_nimg < tick_end and not stop_requested():
                learner.sums.add(learner.step())
                logbook.beat(learner.cur_nimg, total_nimg)
            if learner.cur_nimg < tick_end:
                # Asked to stop: keep the half tick with its sums, so that the resumed run is the uninterrupted one.
                checkpoint.save(learner.state(), run / CHECKPOINT)
                break

            # Fetch the numbers; the first one waits for the device, so the time is taken after it.
            means = learner.sums.means()
            seconds = time.perf_counter() - started
            learner.sums.clear()
            if not learner.has_finite_weights():
                raise UserError(
                    f"training diverged before {learner.cur_nimg / 1000:.1f} kimg; {run / CHECKPOINT} is from before;"
                    " start another run with a smaller lr"
                )

            # Measure, save the state, then the pictures, then the line that says they are there. A full disk before the
            # end is said and survived: the previous checkpoint stands, and the next may fit.
            means |= learner.measure()
            try:
                _save(learner, run)
                logbook.grid(learner.pictures(), learner.cur_nimg, learner.task.columns)
            except OSError as error:
                if learner.cur_nimg >= total_nimg:
                    raise
                logbook.say(f"at {learner.cur_nimg / 1000:.1f} kimg nothing could be saved: {error}")
                continue
            logbook.tick(
                cur_nimg=learner.cur_nimg,
                total_nimg=total_nimg,
                tick_nimg=learner.cur_nimg - started_nimg,
                seconds=seconds,
                means=means,
                schedules=learner.schedules(),
            )
    return learner.cur_nimg >= total_nimg


def _save(learner: Learner, run: Path) -> None:
    """Write the checkpoint, and keep it beside the last ones."""
    checkpoint.save(learner.state(), run / CHECKPOINT)
    checkpoint.keep_copy(run, learner.cur_nimg, learner.config.keep)
