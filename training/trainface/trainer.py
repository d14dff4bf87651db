"""The state of a run and its step: networks, averages, optimisers, random stream, and what steers them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from genface.errors import UserError
from genface.photos import Preparation
from trainface.compiling import checked_step
from trainface.config import MAX_AUGMENT, Config
from trainface.data.batches import Batches
from trainface.data.dataset import FaceSet, split_holdout
from trainface.device import use_bf16
from trainface.ema import EmaBank
from trainface.game import view as views
from trainface.game.label_tricks import Labels, draw_labels, pass_off
from trainface.game.losses import LOSSES
from trainface.game.replay import Replay
from trainface.layers import set_noise
from trainface.networks import (
    Scales,
    build_discriminator,
    build_generator,
    reals_at_scales,
    set_progress,
)
from trainface.optimise import adam, apply_gradients, set_rates
from trainface.pixels import to_levels
from trainface.step import Stats
from trainface.sums import Sums
from trainface.watch.guard import Guard

# Settings that a resumed run may change. A new length stretches the schedules, unless decay_kimg holds them.
RESUME_MAY_CHANGE = frozenset({"kimg", "decay_kimg", "tick_kimg", "compile", "score_kimg", "score_images", "keep"})


class Trainer:
    """All state of a run: two networks, averaged generators, two optimisers, the random stream, images seen."""

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
        self.bank = EmaBank(self.G, config.ema_halflives_kimg)
        self.g_opt, self.d_opt = adam(self.G.parameters()), adam(self.D.parameters())
        self.rng = torch.Generator(device).manual_seed(config.seed)
        self.batches = Batches(faces.images, self.train_indices, config, device)
        self.replay = Replay(config.replay_size, device)
        self.guard = Guard(config)
        self.augment_extra = 0.0
        self.sums = Sums()
        self.origin: dict[str, Any] | None = None
        self.best_kid: float | None = None
        self.cur_nimg = 0
        self.tick_began = 0
        self.bf16 = use_bf16(config.precision, device)
        wanted = config.compile == "on" or (config.compile == "auto" and device.type == "cuda")
        self._phases, self.notes = checked_step(self.G, self.D, config, device=device, bf16=self.bf16, compiled=wanted)
        self.compiled = wanted and not self.notes

    def step(self) -> Stats:
        """Train D, then G, on one batch of reals and as many fakes; returns detached scalars, means over D's steps."""
        of_d: list[Stats] = []
        for _ in range(self.config.d_steps - 1):
            at = self._begin()
            of_d.append(self._train_discriminator(*self._batch(), self._labels(at), at))
            self.cur_nimg += self.config.batch
        at = self._begin()
        # One forward pass of G serves both phases: D learns from its images, then judges them again.
        reals, fakes = self._batch()
        labels = self._labels(at)
        of_d.append(self._train_discriminator(reals, fakes, labels, at))
        stats = _means(of_d) | self._train_generator(reals, fakes, labels, at)
        self.cur_nimg += self.config.batch
        self.bank.update(self.G, self.config.batch * self.config.d_steps, self.cur_nimg, at)
        return stats

    def schedules(self) -> dict[str, float]:
        """What is in force now: the schedules' values after the guard's factors."""
        config, at, factors = self.config, self.config.progress(self.cur_nimg), self.guard.factors
        return {
            "g_lr": config.g_lr.at(at) * factors.g_lr,
            "d_lr": config.d_lr.at(at) * factors.d_lr,
            "beta1": config.beta1.at(at),
            "beta2": config.beta2.at(at),
            "gamma": config.gamma.at(at) * factors.gamma,
            "augment": self.augment_strength(at),
        }

    def augment_strength(self, at: float) -> float:
        """The schedule's strength, with what the held-out gap and the guard have added, capped."""
        scheduled = self.config.augment.at(at)
        return min(scheduled + self.augment_extra + self.guard.factors.augment, max(MAX_AUGMENT, scheduled))

    @torch.no_grad()
    def sample(self, z: NDArray[np.float32], model: nn.Module | None = None) -> NDArray[np.uint8]:
        """Draw with an averaged generator (the best one) in fp32: z [N, z_dim] -> uint8 [N, H, W, 3]."""
        model = model or self.bank.best
        parts: list[NDArray[np.uint8]] = []
        for chunk in torch.split(torch.from_numpy(z), 64):
            parts.append(to_levels(model(chunk.to(self.device)).to(torch.float32)).cpu().numpy())
        return np.concatenate(parts)

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
                "augment": self.faces.augment,
                "holdout": {
                    "share": self.config.holdout,
                    "sha256": [self.faces.digests[i] for i in self.holdout_indices],
                },
            },
            "origin": self.origin,
            "cur_nimg": self.cur_nimg,
            "tick_began": self.tick_began,
            "augment_strength": self.augment_strength(self.config.progress(self.cur_nimg)),
            "augment_extra": self.augment_extra,
            "guard": self.guard.state_dict(),
            "best_kid": self.best_kid,
            "sums": self.sums.state_dict(),
            "replay": self.replay.state_dict(),
            "G": self.G.state_dict(),
            "D": self.D.state_dict(),
            **self.bank.state_dict(),
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
        prepared = Preparation.from_dict(state["preparation"])
        if prepared != self.faces.preparation:
            raise UserError(
                f"the run's faces were prepared as {prepared}, now as {self.faces.preparation}; give the same --crop,"
                " or another --run"
            )
        if state["data"]["key"] != self.faces.key:
            raise UserError(
                f"the run was trained on other data ({state['data']['name']}, {state['data']['images']} images);"
                " give the same pictures, or another --run"
            )
        for name in ("G", "D", "g_opt", "d_opt"):
            getattr(self, name).load_state_dict(state[name])
        self.bank.load_state_dict(state)
        self.guard.load_state_dict(state["guard"])
        self.sums.load_state_dict(state["sums"])
        self.replay.load_state_dict(state["replay"])
        self.origin, self.best_kid = state["origin"], state["best_kid"]
        self.augment_extra = float(state["augment_extra"])
        self.cur_nimg = int(state["cur_nimg"])
        # The first checkpoints of format 2 lack it; but for a half tick's, they stand at the beginning of one.
        self.tick_began = int(state.get("tick_began", self.cur_nimg))
        if state["rng"]["device"] != self.device.type:
            # A GPU's stream cannot go on in a CPU's generator: begin a new one that this place in the run owns.
            self.reseed(0)
            return
        self.rng.set_state(state["rng"]["stream"])
        torch.set_rng_state(state["rng"]["torch"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["rng"]["cuda"], self.device)

    def reseed(self, attempt: int) -> None:
        """Begin another random stream, that of this place in the run and this attempt at it."""
        words = np.random.SeedSequence((self.config.seed, self.cur_nimg, attempt)).generate_state(2)
        self.rng.manual_seed(int(words[0]) << 31 | int(words[1]))

    def has_finite_weights(self) -> bool:
        """Whether the generators and D hold no NaN and no infinity."""
        networks = [self.D, *self.bank.models.values()]
        return all(bool(tensor.isfinite().all()) for network in networks for tensor in network.state_dict().values())

    def _begin(self) -> float:
        """Set what moves with the images seen; returns the schedules' progress."""
        config, at, now = self.config, self.config.progress(self.cur_nimg), self.schedules()
        for optimizer, lr in ((self.g_opt, now["g_lr"]), (self.d_opt, now["d_lr"])):
            set_rates(optimizer, lr=lr, beta1=now["beta1"], beta2=now["beta2"])
        set_noise(self.G, config.g_noise.at(at))
        set_noise(self.D, config.d_noise.at(at))
        for network in (self.G, self.D, *self.bank.models.values()):
            set_progress(network, at)
        return at

    def _batch(self) -> tuple[Scales, Scales]:
        """The next reals and as many fakes, at every scale."""
        reals = self.batches.batch(self.cur_nimg, self.rng)
        z = torch.randn(self.config.batch, self.config.z_dim, generator=self.rng, device=self.device)
        return reals_at_scales(self.D, reals), self._phases.generate(z)

    def _train_discriminator(self, reals: Scales, fakes: Scales, labels: Labels | None, at: float) -> Stats:
        config = self.config
        fakes = tuple(level.detach() for level in fakes)
        if (share := config.replay.at(at)) > 0:
            fakes = (self.replay.mix(fakes[-1], share, self.rng),)
        if (share := config.real_as_fake.at(at)) > 0:
            fakes = pass_off(reals, fakes, share, self.rng)
        weight = self._penalty_weight()
        mix = None
        if weight is not None and config.penalty == "length-one":
            mix = torch.rand(config.batch, 1, 1, 1, generator=self.rng, device=self.device)
        stats = self._phases.discriminator_phase(reals, fakes, self._view(reals, at), labels, weight, mix)
        threshold = config.skip_d_below.at(at)
        hold_back = stats["d_loss"] < threshold if threshold > 0 else None
        return stats | apply_gradients(self.d_opt, self.D.parameters(), "d", hold_back)

    def _train_generator(self, reals: Scales, fakes: Scales, labels: Labels | None, at: float) -> Stats:
        stats = self._phases.generator_phase(reals, fakes, self._view(reals, at), labels)
        return stats | apply_gradients(self.g_opt, self.G.parameters(), "g")

    def _labels(self, at: float) -> Labels | None:
        """This step's labels; None where the loss has none or all tricks are off."""
        config = self.config
        soft, noise, flips = config.soft_labels.at(at), config.label_noise.at(at), config.label_flips.at(at)
        swap = config.g_label_swap.at(at)
        if not LOSSES[config.loss].labelled or (soft == noise == flips == 0 and swap == 1):
            return None
        return draw_labels(
            config.batch, soft=soft, noise=noise, flips=flips, swap=swap, rng=self.rng, device=self.device
        )

    def _view(self, reals: Scales, at: float) -> views.View:
        """A view of reals and fakes together."""
        return views.draw(
            [torch.Size((2 * self.config.batch, *level.shape[1:])) for level in reals],
            strength=self.augment_strength(at),
            kinds=self.config.augment_kinds,
            noise_std=self.config.instance_noise.at(at),
            rng=self.rng,
        )

    def _penalty_weight(self) -> Tensor | None:
        """gamma, times k in every k-th step of D; None in the steps between and without a penalty."""
        gamma = self.schedules()["gamma"]
        if gamma == 0 or self.cur_nimg // self.config.batch % self.config.penalty_every:
            return None
        # A tensor, so that a compiled step is not compiled anew for every value; filled on the device, without a wait.
        return torch.full((), gamma * self.config.penalty_every, device=self.device)


def _means(steps: list[Stats]) -> Stats:
    """Each scalar's mean over the steps that have it."""
    if len(steps) == 1:
        return steps[0]
    having = {name: [stats[name] for stats in steps if name in stats] for stats in steps for name in stats}
    return {name: torch.stack(values).mean() for name, values in having.items()}
