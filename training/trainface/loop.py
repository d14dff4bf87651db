"""The training loop: paragraphs from one tick to the next."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from genface.errors import UserError
from genface.latents import latents
from trainface import checkpoint
from trainface.checkpoint import CHECKPOINT
from trainface.device import tune
from trainface.game import augment
from trainface.logbook import Logbook
from trainface.networks import reals_at_scales
from trainface.pixels import to_floats, to_levels
from trainface.stop import stop_requests
from trainface.trainer import Trainer
from trainface.watch.guard import Signals, Verdict
from trainface.watch.measures import at_the_ends, diversity, out_of_range, overfit_gap
from trainface.watch.scores import Score, Scorer, choose

BEST = "best.pt"
GRID_SEED = 0
GRID_FACES = 64
SCORE_SEED = 1
WATCHED = 256
"""Images that a tick's measures look at, of each kind."""


def train(trainer: Trainer, run: Path, logbook: Logbook) -> bool:
    """Train to the configured length; True when it got there, False when it was asked to stop before.

    Ctrl-C and SIGTERM end the run after the current step, with a checkpoint. Raises UserError when training diverged
    and the guard is off, or has rolled back as often as it may.
    """
    config = trainer.config
    total_nimg, tick_nimg = round(config.kimg * 1000), round(config.tick_kimg * 1000)
    grid_z = latents(GRID_SEED, range(GRID_FACES), config.z_dim)
    watch = _Watch(trainer)
    scorer = _scorer(trainer, logbook) if config.score_kimg else None
    tune(trainer.device)
    with stop_requests() as stop_requested:
        if trainer.cur_nimg == 0:
            # The beginning is worth keeping: a first tick may be long, and a probe or an origin stand behind it.
            if not (run / CHECKPOINT).exists():
                _save(trainer, run, good=True, is_best=False)
            logbook.grid(trainer.sample(grid_z), 0)
        while trainer.cur_nimg < total_nimg and not stop_requested():
            tick_end = min((trainer.cur_nimg // tick_nimg + 1) * tick_nimg, total_nimg)
            # Not where the tick began, if this process took it over half done.
            started, started_nimg = time.perf_counter(), trainer.cur_nimg

            # Train until the tick is over. Nothing in here waits for the device.
            while trainer.cur_nimg < tick_end and not stop_requested():
                trainer.sums.add(trainer.step())
                logbook.beat(trainer.cur_nimg, total_nimg)
            if trainer.cur_nimg < tick_end:
                # Asked to stop: keep the half tick with its sums, so that the resumed run is the uninterrupted one.
                checkpoint.save(trainer.state(), run / CHECKPOINT)
                break

            # Fetch the numbers; the first one waits for the device, so the time is taken after it.
            means = trainer.sums.means()
            seconds = time.perf_counter() - started
            trainer.sums.clear()

            # Look at what came of it, and score it when that is due.
            signs = watch.look()
            scores = _score_if_due(trainer, scorer, total_nimg, logbook)

            # Let the guard judge; a roll-back throws the tick away.
            verdict = _judge(trainer, means, signs, scores)
            for message in verdict.messages:
                logbook.event(trainer.cur_nimg, message)
            if verdict.roll_back or verdict.stop:
                _roll_back_or_stop(trainer, verdict, run, logbook)
                continue
            trainer.augment_extra = _adapted(trainer, signs["overfit_gap"])
            trainer.tick_began = trainer.cur_nimg

            # Save the state, then the pictures, then the line that says they are there. A full disk before the end is
            # said and survived: the previous checkpoint stands, and the next may fit.
            best_kid = trainer.best_kid
            try:
                is_best = scores is not None and _is_best(trainer, scores)
                _save(trainer, run, good=verdict.good, is_best=is_best)
                logbook.grid(trainer.sample(grid_z), trainer.cur_nimg)
            except OSError as error:
                if trainer.cur_nimg >= total_nimg:
                    raise
                trainer.best_kid = best_kid
                logbook.say(f"at {trainer.cur_nimg / 1000:.1f} kimg nothing could be saved: {error}")
                continue
            logbook.tick(
                cur_nimg=trainer.cur_nimg,
                total_nimg=total_nimg,
                tick_nimg=trainer.cur_nimg - started_nimg,
                seconds=seconds,
                means=means | signs,
                schedules=trainer.schedules(),
            )
    return trainer.cur_nimg >= total_nimg


class _Watch:
    """What a tick looks at: the same training faces, held-out faces and latents every time; no random stream moves."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._train = trainer.train_indices[:WATCHED]
        self._holdout = trainer.holdout_indices[:WATCHED]
        self._z = latents(SCORE_SEED, range(WATCHED), trainer.config.z_dim)
        self._at_the_ends = at_the_ends(np.asarray(trainer.faces.images[self._train]))

    @torch.no_grad()
    def look(self) -> dict[str, float]:
        """Held-out gap (0 without held-out faces), diversity of the fakes, and their share out of range.

        A generator without a tanh can draw black and white only by going a little too far half of the time, so what the
        faces have of them is not counted.
        """
        trainer = self._trainer
        faces = trainer.faces.images
        fakes = torch.cat([trainer.bank.best(z.to(trainer.device)) for z in torch.split(torch.from_numpy(self._z), 64)])
        levels = to_levels(fakes).cpu().numpy()
        signs = {
            "diversity": diversity(levels, np.asarray(faces[self._train])),
            "out_of_range": max(float(out_of_range(fakes)) - self._at_the_ends, 0.0),
        }
        if len(self._holdout):
            with _in_eval_mode(trainer.D):
                train_logits, holdout_logits = (
                    self._logits(to_floats(torch.from_numpy(np.array(faces[chosen]))))
                    for chosen in (self._train, self._holdout)
                )
                signs["overfit_gap"] = float(overfit_gap(train_logits, holdout_logits, self._logits(fakes)))
        else:
            signs["overfit_gap"] = 0.0
        return signs

    def _logits(self, images: Tensor) -> Tensor:
        D, device = self._trainer.D, self._trainer.device
        return torch.cat([D(*reals_at_scales(D, part.to(device))) for part in torch.split(images, 64)])


def _scorer(trainer: Trainer, logbook: Logbook) -> Scorer:
    faces = trainer.faces
    return Scorer(faces.images, faces.originals, trainer.config, trainer.device, logbook.say)


def _score_if_due(
    trainer: Trainer, scorer: Scorer | None, total_nimg: int, logbook: Logbook
) -> dict[str, Score] | None:
    """KID of every averaged generator, when the tick passed a multiple of `score_kimg` or the run is over."""
    config = trainer.config
    if scorer is None:
        return None
    period = config.score_kimg * 1000
    if trainer.cur_nimg // period == trainer.tick_began // period and trainer.cur_nimg < total_nimg:
        return None

    def draw(model: nn.Module, num: int) -> NDArray[np.uint8]:
        return trainer.sample(latents(SCORE_SEED, range(num), config.z_dim), model)

    scores = choose(trainer.bank, draw, scorer, config.score_images)
    rows = {key: asdict(score) for key, score in scores.items()}
    logbook.score(trainer.cur_nimg, rows, trainer.bank.best_key)
    return scores


def _judge(
    trainer: Trainer, means: dict[str, float], signs: dict[str, float], scores: dict[str, Score] | None
) -> Verdict:
    """The guard's verdict; without a guard, a stop when the weights are not finite."""
    if not trainer.has_finite_weights():
        signs = signs | {"finite_weights": 0.0}
    kid = scores[trainer.bank.best_key].kid if scores is not None else None
    return trainer.guard.observe(Signals(cur_nimg=trainer.cur_nimg, means=means, kid=kid, **signs))


def _roll_back_or_stop(trainer: Trainer, verdict: Verdict, run: Path, logbook: Logbook) -> None:
    """Go back to the last good checkpoint with what the guard has learnt, or raise UserError."""
    kept = checkpoint.kept(run)
    if verdict.stop or not kept:
        last_good = f"{kept[0]} holds the last good state" if kept else "no good state had been saved yet"
        raise UserError(
            f"training diverged before {trainer.cur_nimg / 1000:.1f} kimg; {last_good};"
            " start another run with a larger gamma or smaller learning rates"
        )
    # best.pt stays where it is, so its score must not be forgotten: a worse one would take its place.
    guard, best_kid, left = trainer.guard.state_dict(), trainer.best_kid, trainer.cur_nimg
    trainer.load_state(checkpoint.load(kept[0]))
    trainer.guard.load_state_dict(guard)
    trainer.best_kid = best_kid
    trainer.reseed(trainer.guard.roll_backs)
    logbook.event(trainer.cur_nimg, f"rolled back from {left / 1000:.1f} to {trainer.cur_nimg / 1000:.1f} kimg")
    try:
        checkpoint.save(trainer.state(), run / CHECKPOINT)
    except OSError as error:
        # The one from before stands: a run that is resumed from it comes here again.
        logbook.say(f"at {trainer.cur_nimg / 1000:.1f} kimg nothing could be saved: {error}")


def _adapted(trainer: Trainer, gap: float) -> float:
    """What the held-out gap of the tick at hand adds to the augmentation's schedule."""
    target, images = trainer.config.augment_target, trainer.cur_nimg - trainer.tick_began
    return augment.adapt(trainer.augment_extra, gap, target, images) if target > 0 else 0.0


def _is_best(trainer: Trainer, scores: dict[str, Score]) -> bool:
    kid = scores[trainer.bank.best_key].kid
    if trainer.best_kid is not None and kid >= trainer.best_kid:
        return False
    trainer.best_kid = kid
    return True


def _save(trainer: Trainer, run: Path, *, good: bool, is_best: bool) -> None:
    """Write the checkpoint; a good one is one to roll back to."""
    checkpoint.save(trainer.state(), run / CHECKPOINT)
    if good:
        checkpoint.keep_copy(run, trainer.cur_nimg, trainer.config.keep)
    if is_best:
        checkpoint.link(run / CHECKPOINT, run / BEST)


@contextmanager
def _in_eval_mode(network: nn.Module) -> Iterator[None]:
    network.eval()
    try:
        yield
    finally:
        network.train()
