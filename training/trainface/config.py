"""What a run is made of: one frozen record, written by hand, by a preset's row or by a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from trainface.record import Record, require, require_range
from trainface.refusals import refuse_impossible
from trainface.schedules import Cosine

Architecture = Literal["dcgan", "normfree", "r3", "pyramid"]
Regime = Literal["msg", "progressive"]
DNorm = Literal["batch", "instance", "spectral", "none"]
Loss = Literal["relativistic", "bce", "lsgan", "hinge", "wgan"]
Penalty = Literal["r1r2", "r1", "length-one"]
AugmentKind = Literal["shift", "zoom", "brightness", "colour", "cutout"]
Precision = Literal["auto", "bf16", "fp32"]
Switch = Literal["auto", "on", "off"]

OFF = Cosine(0.0, 0.0)
MAX_AUGMENT = 0.8
"""Above this share of augmented pictures the augmentation begins to show in the generated ones (Karras et al. 2020)."""


@dataclass(frozen=True, kw_only=True)
class Config(Record):
    """Everything that decides what a run computes; stored in its checkpoint and in the exported file.

    Schedules (`Cosine`) move over `decay_kimg` and stay at their end.
    """

    # The networks.
    architecture: Architecture
    """Which pair of networks: dcgan, normfree, r3 or pyramid."""
    size: int
    """Side of the pictures in pixels, a power of two from 16 to 256."""
    z_dim: int
    """Numbers in the latent, standard normal."""
    g_widths: tuple[int, ...]
    """Channels of G: at 4, 8 ... size/2 px (normfree), 4, 8 ... size px (r3, pyramid), or at size/2 alone (dcgan)."""
    d_widths: tuple[int, ...]
    """Channels of D: at size/2 ... 4 px (normfree), size ... 4 px (r3, pyramid), or at size/2 alone (dcgan)."""
    blocks: int = 1
    """Residual blocks at each resolution (r3)."""
    d_norm: DNorm = "none"
    """Normalisation inside D (dcgan): batch, instance, spectral or none."""
    regime: Regime = "msg"
    """How a pyramid learns: all scales at once (msg), or one after the other, each faded in (progressive)."""
    grow_over: float = 0.5
    """Share of the schedule in which a progressive pyramid reaches its last scale; half of each stage is a fade."""

    # The game.
    loss: Loss
    """What G and D play for: relativistic, bce, lsgan, hinge or wgan."""
    penalty: Penalty = "r1r2"
    """Which gradient penalty on D `gamma` weighs: squared norm on reals and fakes (r1r2) or reals (r1), length-one."""
    gamma: Cosine = OFF
    """Weight of the penalty: gamma / 2 times the squared norm (r1r2, r1), gamma times (norm - 1)^2 (length-one)."""
    penalty_every: int = 1
    """Take the penalty in every k-th step, with weight k."""
    d_steps: int = 1
    """Steps of D for each step of G, every one with new reals."""

    # Tricks of the classroom; all off unless a preset or --set says otherwise.
    instance_noise: Cosine = OFF
    """Standard deviation of Gaussian noise on every image that D sees; images span 2."""
    g_noise: Cosine = OFF
    """Standard deviation of Gaussian noise before G's convolutions (dcgan); training only."""
    d_noise: Cosine = OFF
    """Standard deviation of Gaussian noise before D's convolutions (dcgan); training only."""
    soft_labels: Cosine = OFF
    """Width of the soft labels: reals get 1 - width to 1, fakes 0 to width, uniform."""
    label_noise: Cosine = OFF
    """Standard deviation of Gaussian noise on D's labels."""
    label_flips: Cosine = OFF
    """Share of D's labels that are flipped."""
    g_label_swap: Cosine = Cosine(1.0, 1.0)
    """Share of G's images labelled as real in its step (non-saturating); the others keep 0 (Goodfellow's minimax)."""
    real_as_fake: Cosine = OFF
    """Share of D's fakes that are reals in disguise."""
    replay: Cosine = OFF
    """Share of D's fakes that come from the buffer of images generated before."""
    replay_size: int = 512
    """Images in that buffer."""
    skip_d_below: Cosine = OFF
    """Leave out D's step while its loss was below this."""

    # Augmentation of what D sees.
    augment: Cosine = OFF
    """Probability of each kind of augmentation of D's input, at most 0.8."""
    augment_kinds: tuple[AugmentKind, ...] = ("shift", "zoom", "brightness", "colour")
    """Which kinds, of shift, zoom, brightness, colour (saturation and contrast) and cutout."""
    augment_target: float = 0.0
    """Steer the strength so that the held-out gap stays at this, from the schedule's value up; 0: schedule alone."""
    x_flip: bool = True
    """Mirror half of the real images."""

    # Optimisation.
    batch: int
    """Real images, and generated ones, in a step."""
    kimg: float
    """Length of the run in thousands of real images seen."""
    decay_kimg: float | None = None
    """Length of the schedules in kimg; none: that of the run, so that a longer run stretches them."""
    g_lr: Cosine
    """Adam's learning rate for G."""
    d_lr: Cosine
    """Adam's learning rate for D."""
    beta1: Cosine
    """Adam's first moment."""
    beta2: Cosine
    """Adam's second moment."""
    ema_halflives_kimg: tuple[Cosine, ...] = (Cosine(5.0, 5.0), Cosine(20.0, 20.0), Cosine(100.0, 100.0))
    """Half-lives of the averaged generators; each shorter while fewer than ten times as many images were seen."""

    # The run.
    holdout: float = 0.05
    """Share of the data that stays out of training, chosen by content."""
    tick_kimg: float = 10.0
    """Grid, checkpoint and log entry every so many kimg."""
    score_kimg: float = 50.0
    """Score the averaged generators (KID) every so many kimg; 0: never."""
    score_images: int = 512
    """Generated images in such a score, for each averaged generator."""
    keep: int = 3
    """Earlier checkpoints kept beside the last one, to roll back to."""
    guard: bool = True
    """Watch for divergence and collapse, and answer them."""
    precision: Precision = "auto"
    """bf16, fp32, or auto: bf16 autocast where the processor multiplies bf16 by itself, else fp32."""
    compile: Switch = "auto"
    """torch.compile the networks and the losses: on, off, or auto: on a GPU only."""
    seed: int = 0
    """Seed of weights, order, latents and augmentation."""

    def __post_init__(self) -> None:
        for name, kind in _CHOICES.items():
            require(getattr(self, name) in get_args(kind), name, getattr(self, name), get_args(kind))
        require(self.size in (16, 32, 64, 128, 256), "size", self.size, (16, 32, 64, 128, 256))
        for name in ("z_dim", "blocks", "batch", "penalty_every", "d_steps", "replay_size", "keep"):
            require(getattr(self, name) > 0, name, getattr(self, name), "more than 0")
        require(self.score_images >= 16, "score_images", self.score_images, "16 or more")
        for name in ("kimg", "tick_kimg", "decay_kimg"):
            value = getattr(self, name)
            require(value is None or 0.001 <= value <= 1e9, name, value, "0.001 (one image) to 1e9")
        for name, (low, high) in _RANGES.items():
            require_range(name, getattr(self, name), low, high)
        for name in ("beta1", "beta2"):
            require(max(getattr(self, name).start, getattr(self, name).end) < 1, name, getattr(self, name), "below 1")
        require(0 <= self.seed < 1 << 63, "seed", self.seed, "0 to 2^63 - 1")
        require(
            len(set(self.ema_halflives_kimg)) == len(self.ema_halflives_kimg) > 0
            and all(0 <= end <= 1e9 for halflife in self.ema_halflives_kimg for end in (halflife.start, halflife.end)),
            "ema_halflives_kimg",
            ",".join(map(str, self.ema_halflives_kimg)),
            "one or more different half-lives, 0 to 1e9",
        )
        unknown = [kind for kind in self.augment_kinds if kind not in get_args(AugmentKind)]
        require(not unknown, "augment_kinds", ",".join(unknown), get_args(AugmentKind))
        self._check_widths()
        refuse_impossible(self)

    def _check_widths(self) -> None:
        stages = self.size.bit_length() - 3
        wanted = {"dcgan": 1, "normfree": stages, "r3": stages + 1, "pyramid": stages + 1}[self.architecture]
        for name in ("g_widths", "d_widths"):
            widths = getattr(self, name)
            require(
                len(widths) == wanted and all(width > 0 for width in widths),
                name,
                ",".join(map(str, widths)),
                f"{wanted} positive number(s) for {self.architecture} at {self.size} px",
            )

    def progress(self, cur_nimg: int) -> float:
        """Where the schedules stand after `cur_nimg` images, 0 to 1."""
        return min(cur_nimg / (1000 * (self.decay_kimg or self.kimg)), 1.0)


_CHOICES: dict[str, Any] = {
    "architecture": Architecture,
    "regime": Regime,
    "d_norm": DNorm,
    "loss": Loss,
    "penalty": Penalty,
    "precision": Precision,
    "compile": Switch,
}

_RANGES: dict[str, tuple[float, float]] = {
    "grow_over": (0.01, 1),
    "gamma": (0, 1e6),
    "instance_noise": (0, 10),
    "g_noise": (0, 10),
    "d_noise": (0, 10),
    "soft_labels": (0, 0.5),
    "label_noise": (0, 1),
    "label_flips": (0, 0.5),
    "g_label_swap": (0, 1),
    "real_as_fake": (0, 0.5),
    "replay": (0, 1),
    "skip_d_below": (0, 100),
    "augment": (0, MAX_AUGMENT),
    "augment_target": (0, 1),
    "g_lr": (0, 1),
    "d_lr": (0, 1),
    "beta1": (0, 1),
    "beta2": (0, 1),
    "holdout": (0, 0.5),
    "score_kimg": (0, 1e9),
}
