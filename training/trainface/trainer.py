"""The training loop: a run folder, its state, and paragraphs from one tick to the next."""

from __future__ import annotations

import copy
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genface.errors import UserError
from genface.latents import latents
from trainface import augment, checkpoint, ema
from trainface.batches import Batches
from trainface.config import Config
from trainface.dataset import FaceSet, split_holdout
from trainface.device import use_bf16
from trainface.logbook import Logbook
from trainface.losses import LOSSES
from trainface.networks import build_discriminator, build_generator, judges_batches
from trainface.step import Stats, Step

CHECKPOINT = "checkpoint.pt"
GRID_SEED = 0
GRID_FACES = 64
# Settings that a resumed run may change. A new length stretches the schedules, unless decay_kimg holds them.
RESUME_MAY_CHANGE = frozenset({"kimg", "tick_kimg", "compile"})


class Trainer:
    """All state of a run: two networks, the averaged generator, two optimisers, the random stream, images seen."""

    def __init__(self, config: Config, faces: FaceSet, device: torch.device) -> None:
        self.config, self.faces, self.device = config, faces, device
        self.train_indices, self.holdout_indices = split_holdout(faces.digests, config.holdout)
        if len(self.train_indices) < config.batch:
            raise UserError(
                f"{faces.name}: {len(self.train_indices)} faces to train on ({len(self.holdout_indices)} held out) are"
                f" fewer than one batch of {config.batch}; add faces, or give a smaller --batch"
            )
        torch.manual_seed(config.seed)
        layout: dict[str, Any] = {"device": device, "memory_format": torch.channels_last}
        self.G = build_generator(config).to(**layout)
        self.D = build_discriminator(config).to(**layout)
        self.G_ema = copy.deepcopy(self.G).eval().requires_grad_(False)
        self.g_opt = _adam(self.G, config.g_lr.start, config)
        self.d_opt = _adam(self.D, config.d_lr.start, config)
        self.rng = torch.Generator(device).manual_seed(config.seed)
        self.cur_nimg = 0
        self.step_index = 0
        self.bf16 = use_bf16(config.precision, device)
        self.compiled = config.compile == "on" or (config.compile == "auto" and device.type == "cuda")
        self._phases = Step(
            self.G,
            self.D,
            LOSSES[config.loss],
            device=device,
            bf16=self.bf16,
            batchwise_d=judges_batches(self.D),
            compiled=self.compiled,
        )
        self.batches = Batches(faces.images, self.train_indices, config, device)

    def step(self) -> Stats:
        """Train on one batch of reals and as many fakes; returns detached scalars."""
        config, at = self.config, self.config.progress(self.cur_nimg)
        _set_adam(self.g_opt, config.g_lr.at(at), config.beta1, config.beta2.at(at))
        _set_adam(self.d_opt, config.d_lr.at(at), config.beta1, config.beta2.at(at))
        reals = self.batches.batch(self.cur_nimg, self.rng)
        z = torch.randn(config.batch, config.z_dim, generator=self.rng, device=self.device)

        # One forward pass of G serves both phases: D learns from its images, then judges them again.
        fakes = self._phases.generate(z)
        stats = self._phases.discriminator_phase(reals, fakes, self._draw(at), self._penalty_weight(at))
        self.d_opt.step()
        self.d_opt.zero_grad(set_to_none=True)

        stats |= self._phases.generator_phase(reals, fakes, self._draw(at))
        self.g_opt.step()
        self.g_opt.zero_grad(set_to_none=True)

        self.cur_nimg += config.batch
        self.step_index += 1
        ema.update(self.G_ema, self.G, ema.decay(config.batch, self.cur_nimg, config.ema_halflife_kimg))
        return stats

    @torch.no_grad()
    def sample(self, z: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Draw with the averaged generator in fp32: z [N, z_dim] -> uint8 [N, H, W, 3]."""
        images = self.G_ema(torch.from_numpy(z).to(self.device)).to(torch.float32)
        levels = (images * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)
        pixels: NDArray[np.uint8] = levels.permute(0, 2, 3, 1).cpu().numpy()
        return pixels

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs, as plain values and tensors."""
        rng: dict[str, Any] = {
            "device": self.device.type,
            "stream": self.rng.get_state(),
            "torch": torch.get_rng_state(),
        }
        if self.device.type == "cuda":
            rng["cuda"] = torch.cuda.get_rng_state(self.device)
        return {
            "config": self.config.to_dict(),
            "preparation": self.faces.preparation.to_dict(),
            "data": {
                "name": self.faces.name,
                "key": self.faces.key,
                "images": len(self.faces),
                "holdout": {
                    "share": self.config.holdout,
                    "sha256": [self.faces.digests[i] for i in self.holdout_indices],
                },
            },
            "cur_nimg": self.cur_nimg,
            "step_index": self.step_index,
            "augment_strength": self.config.augment.at(self.config.progress(self.cur_nimg)),
            "G": self.G.state_dict(),
            "D": self.D.state_dict(),
            "G_ema": self.G_ema.state_dict(),
            "g_opt": self.g_opt.state_dict(),
            "d_opt": self.d_opt.state_dict(),
            "rng": rng,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint of the same configuration and data; raises UserError if they differ."""
        stored, mine = Config.from_dict(state["config"]).to_dict(), self.config.to_dict()
        differing = [key for key in mine if mine[key] != stored[key] and key not in RESUME_MAY_CHANGE]
        if differing:
            changes = ", ".join(f"{key}: {stored[key]} there, {mine[key]} now" for key in differing)
            raise UserError(f"the run's checkpoint has other settings ({changes}); take them back, or another --run")
        if state["data"]["key"] != self.faces.key:
            raise UserError(
                f"the run was trained on other data ({state['data']['name']}, {state['data']['images']} images);"
                " give the same pictures, or another --run"
            )
        for name in ("G", "D", "G_ema", "g_opt", "d_opt"):
            getattr(self, name).load_state_dict(state[name])
        self.cur_nimg, self.step_index = int(state["cur_nimg"]), int(state["step_index"])
        if state["rng"]["device"] != self.device.type:
            # A GPU's stream cannot go on in a CPU's generator: begin a new one that this place in the run owns.
            self.rng.manual_seed(hash((self.config.seed, self.cur_nimg)) % (1 << 63))
            return
        self.rng.set_state(state["rng"]["stream"])
        torch.set_rng_state(state["rng"]["torch"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["rng"]["cuda"], self.device)

    def has_finite_weights(self) -> bool:
        """Whether the averaged generator holds no NaN and no infinity."""
        return all(bool(tensor.isfinite().all()) for tensor in self.G_ema.state_dict().values())

    def _draw(self, at: float) -> augment.Draw | None:
        strength = self.config.augment.at(at)
        if strength == 0:
            return None
        return augment.draw(2 * self.config.batch, self.config.size, strength, self.rng, self.device)

    def _penalty_weight(self, at: float) -> Tensor | None:
        """gamma, times k in every k-th step; None in the steps between and without a penalty."""
        gamma = self.config.gamma.at(at)
        if gamma == 0 or self.step_index % self.config.penalty_every:
            return None
        # A tensor, so that a compiled step is not compiled anew for every value; filled on the device, without a wait.
        return torch.full((), gamma * self.config.penalty_every, device=self.device)


def train(trainer: Trainer, run: Path, logbook: Logbook) -> bool:
    """Train to the configured length; True when it got there, False when it was asked to stop before.

    Ctrl-C and SIGTERM end the run after the current step, with a checkpoint.
    """
    config = trainer.config
    total_nimg, tick_nimg = round(config.kimg * 1000), round(config.tick_kimg * 1000)
    grid_z = latents(GRID_SEED, range(GRID_FACES), config.z_dim)
    torch.set_flush_denormal(True)
    with _stop_requests() as stop_requested:
        if trainer.cur_nimg == 0:
            logbook.grid(trainer.sample(grid_z), 0)
        while trainer.cur_nimg < total_nimg and not stop_requested():
            tick_end = min((trainer.cur_nimg // tick_nimg + 1) * tick_nimg, total_nimg)
            sums, started, first_nimg = _Sums(), time.perf_counter(), trainer.cur_nimg

            # Train until the tick is over. Nothing in here waits for the device.
            while trainer.cur_nimg < tick_end and not stop_requested():
                sums.add(trainer.step())
                logbook.beat(trainer.cur_nimg, total_nimg)

            if trainer.cur_nimg == first_nimg:
                break

            # Fetch the numbers; the first one waits for the device, so the time is taken after it.
            means = sums.means()
            seconds = time.perf_counter() - started
            _refuse_nonfinite(trainer, means, run)

            # Save the state, then the pictures, then the line that says they are there.
            checkpoint.save(trainer.state(), run / CHECKPOINT)
            logbook.grid(trainer.sample(grid_z), trainer.cur_nimg)
            logbook.tick(
                cur_nimg=trainer.cur_nimg,
                total_nimg=total_nimg,
                tick_nimg=trainer.cur_nimg - first_nimg,
                seconds=seconds,
                means=means,
                schedules=_schedules(trainer),
            )
    return trainer.cur_nimg >= total_nimg


class _Sums:
    """Sums of the step's scalars, kept on the device until the tick is over."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, stats: Stats) -> None:
        for name, value in stats.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts.get(name, 0) + 1

    def means(self) -> dict[str, float]:
        return {name: float(total) / self._counts[name] for name, total in self._sums.items()}


def _refuse_nonfinite(trainer: Trainer, means: dict[str, float], run: Path) -> None:
    bad = [name for name, value in means.items() if not math.isfinite(value)]
    if not bad and trainer.has_finite_weights():
        return
    kept = f"; {run / CHECKPOINT} holds the last good state" if (run / CHECKPOINT).exists() else ""
    advice = "a larger gamma or smaller learning rates" if trainer.config.gamma.start > 0 else "smaller learning rates"
    raise UserError(
        f"training diverged before {trainer.cur_nimg / 1000:.1f} kimg ({', '.join(bad) or 'weights'} not finite){kept};"
        f" start another run with {advice}"
    )


def _schedules(trainer: Trainer) -> dict[str, float]:
    config, at = trainer.config, trainer.config.progress(trainer.cur_nimg)
    return {name: getattr(config, name).at(at) for name in ("g_lr", "d_lr", "beta2", "gamma", "augment")}


def _adam(network: torch.nn.Module, lr: float, config: Config) -> torch.optim.Adam:
    # betas must be floats: Adam refuses the integer 0.
    return torch.optim.Adam(
        network.parameters(), lr=lr, betas=(float(config.beta1), float(config.beta2.start)), eps=1e-8, fused=True
    )


def _set_adam(optimizer: torch.optim.Adam, lr: float, beta1: float, beta2: float) -> None:
    for group in optimizer.param_groups:
        group["lr"], group["betas"] = lr, (float(beta1), float(beta2))


@contextmanager
def _stop_requests() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C and SIGTERM into a polite request; a second one takes effect at once."""
    requested = False

    def request(signum: int, frame: FrameType | None) -> None:
        nonlocal requested
        if requested:
            raise KeyboardInterrupt
        requested = True

    previous = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: requested
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
