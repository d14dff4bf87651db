"""What a run is made of: one frozen record, and the presets as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from genface.errors import UserError
from trainface.losses import LOSSES
from trainface.schedules import Cosine

Architecture = Literal["dcgan", "normfree"]
Precision = Literal["auto", "bf16", "fp32"]
Switch = Literal["auto", "on", "off"]

_BATCH_NORM = ("dcgan",)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides what a run computes; stored in its checkpoint and in the exported file.

    Schedules (`Cosine`) move over `decay_kimg` and stay at their end.
    """

    preset: str
    """The row of `PRESETS` that this started from."""
    architecture: Architecture
    """Which pair of networks."""
    size: int
    """Side of the pictures in pixels, a power of two from 16 to 256."""
    z_dim: int
    """Numbers in the latent, standard normal."""
    g_widths: tuple[int, ...]
    """Channels of the generator from 4 px up (normfree), or the width at full size (dcgan, one number)."""
    d_widths: tuple[int, ...]
    """Channels of the discriminator from size / 2 down (normfree), or the width there (dcgan, one number)."""
    loss: str
    """A key of `losses.LOSSES`."""
    batch: int
    """Real images, and generated ones, in a step."""
    kimg: float
    """Length of the run in thousands of real images seen."""
    decay_kimg: float | None = None
    """Length of the schedules in kimg; None: that of the run, so that a longer run stretches them."""
    g_lr: Cosine
    """Adam's learning rate for G."""
    d_lr: Cosine
    """Adam's learning rate for D."""
    beta1: float
    """Adam's first moment."""
    beta2: Cosine
    """Adam's second moment."""
    gamma: Cosine = Cosine(0.0, 0.0)
    """Weight of R1 + R2 (the penalty is gamma / 2 times the squared gradient norm); 0: no penalty."""
    penalty_every: int = 1
    """Take the penalty in every k-th step, with weight k."""
    augment: Cosine = Cosine(0.0, 0.0)
    """Probability of each kind of augmentation of D's input."""
    x_flip: bool = True
    """Mirror half of the real images."""
    ema_halflife_kimg: float = 20.0
    """Half-life of the averaged generator; shorter while fewer than ten times as many images were seen."""
    holdout: float = 0.05
    """Share of the data that stays out of training, chosen by content."""
    tick_kimg: float = 10.0
    """Grid, checkpoint and log entry every so many kimg."""
    precision: Precision = "auto"
    """`auto`: bf16 autocast where the processor multiplies bf16 by itself, else fp32."""
    compile: Switch = "auto"
    """torch.compile the networks and the losses; `auto`: on a GPU only."""
    seed: int = 0
    """Seed of weights, order, latents and augmentation."""

    def __post_init__(self) -> None:
        _require(self.architecture in get_args(Architecture), "architecture", self.architecture, get_args(Architecture))
        _require(self.loss in LOSSES, "loss", self.loss, tuple(LOSSES))
        _require(self.precision in get_args(Precision), "precision", self.precision, get_args(Precision))
        _require(self.compile in get_args(Switch), "compile", self.compile, get_args(Switch))
        _require(self.size in (16, 32, 64, 128, 256), "size", self.size, (16, 32, 64, 128, 256))
        for name in ("z_dim", "batch", "penalty_every"):
            _require(getattr(self, name) > 0, name, getattr(self, name), "more than 0")
        for name in ("kimg", "tick_kimg", "decay_kimg"):
            value = getattr(self, name)
            _require(value is None or 0.001 <= value <= 1e9, name, value, "0.001 (one image) to 1e9")
        _require(0 <= self.holdout <= 0.5, "holdout", self.holdout, "0 to 0.5")
        _require(0 <= self.seed < 1 << 63, "seed", self.seed, "0 to 2^63 - 1")
        _require(0 <= self.beta1 < 1, "beta1", self.beta1, "0 to 1, 1 excluded")
        _require(max(self.beta2.start, self.beta2.end) < 1, "beta2", self.beta2, "0 to 1, 1 excluded")
        for name, low, high in (
            ("beta2", 0, 1),
            ("augment", 0, 0.8),
            ("gamma", 0, 1e6),
            ("g_lr", 0, 1),
            ("d_lr", 0, 1),
        ):
            schedule: Cosine = getattr(self, name)
            _require(
                all(low <= value <= high for value in (schedule.start, schedule.end)),
                name,
                schedule,
                f"{low} to {high:g}",
            )
        _require(0 <= self.ema_halflife_kimg <= 1e9, "ema_halflife_kimg", self.ema_halflife_kimg, "0 to 1e9")
        self._check_widths()
        if self.architecture in _BATCH_NORM and max(self.gamma.start, self.gamma.end) > 0:
            raise UserError(
                "gamma: a gradient penalty needs a discriminator that judges each image alone, and this one has"
                " BatchNorm; set gamma=0, or architecture=normfree"
            )

    def _check_widths(self) -> None:
        stages = self.size.bit_length() - 3
        wanted = 1 if self.architecture == "dcgan" else stages
        for name in ("g_widths", "d_widths"):
            widths = getattr(self, name)
            _require(
                len(widths) == wanted and all(width > 0 for width in widths),
                name,
                widths,
                f"{wanted} positive number(s) for {self.architecture} at {self.size} px",
            )

    def progress(self, cur_nimg: int) -> float:
        """Where the schedules stand after `cur_nimg` images, 0 to 1."""
        return min(cur_nimg / (1000 * (self.decay_kimg or self.kimg)), 1.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and lists, for a checkpoint or JSON."""
        record = {name: _plain(value) for name, value in vars(self).items()}
        assert set(record) == set(asdict(self))
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Config:
        """Rebuild a stored record; raises UserError for keys of another version."""
        known = {field.name: field for field in fields(cls)}
        unknown = sorted(set(record) - set(known))
        missing = sorted(set(known) - set(record))
        if unknown or missing:
            raise UserError(f"configuration of another version (unknown: {unknown}, missing: {missing})")
        return cls(**{name: _typed(value, str(known[name].type), name) for name, value in record.items()})

    def with_settings(self, settings: Mapping[str, str]) -> Config:
        """A copy with `key=value` texts of the command line applied; raises UserError for what is unknown."""
        known = {field.name: str(field.type) for field in fields(self)}
        for key in settings:
            if key not in known or key == "preset":
                raise UserError(f"unknown setting {key!r}; known: {', '.join(sorted(set(known) - {'preset'}))}")
        return replace(self, **{key: _typed(text, known[key], key) for key, text in settings.items()})


def preset(name: str) -> Config:
    """The row of that name; raises UserError naming the known ones."""
    if name not in PRESETS:
        raise UserError(f"unknown preset {name!r}; known: {', '.join(PRESETS)}")
    return Config(preset=name, **PRESETS[name])


def _require(holds: bool, name: str, value: object, allowed: object) -> None:
    if not holds:
        choices = ", ".join(map(str, allowed)) if isinstance(allowed, tuple) else allowed
        raise UserError(f"{name}={value}: must be {choices}")


def _plain(value: object) -> object:
    if isinstance(value, Cosine):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _typed(value: Any, kind: str, name: str) -> Any:
    """Read a stored or typed-in value as the field's kind."""
    try:
        if kind == "Cosine":
            return Cosine.parse(str(value))
        if kind == "tuple[int, ...]":
            return tuple(int(part) for part in (value.split(",") if isinstance(value, str) else value))
        if kind == "bool":
            return value if isinstance(value, bool) else {"true": True, "false": False}[value.lower()]
        if kind.endswith("| None") and value in (None, "none"):
            return None
        if kind.startswith("float"):
            return float(value)
        return int(value) if kind == "int" else str(value)
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, UserError):
            raise UserError(f"{name}: {error}") from error
        raise UserError(f"{name}={value}: not a value of kind {kind}") from error


# One row a preset. What to expect stands in LOG.md with its command.
# fmt: off
PRESETS: dict[str, dict[str, Any]] = {
    # Relativistic loss with R1 + R2 on small norm-free nets: the default, made for two cores.
    "s64": dict(
        architecture="normfree", size=64, z_dim=64, g_widths=(256, 256, 128, 64), d_widths=(64, 128, 256, 256),
        loss="relativistic", batch=32, kimg=400.0, g_lr=Cosine(4e-4, 1e-4), d_lr=Cosine(3e-4, 1e-4), beta1=0.0,
        beta2=Cosine(0.9, 0.99), gamma=Cosine(10.0, 1.0), penalty_every=4, augment=Cosine(0.1, 0.3),
    ),
    # Radford et al. 2015 with BCE, as the PyTorch tutorial has it; collapses sooner or later.
    "dcgan64": dict(
        architecture="dcgan", size=64, z_dim=100, g_widths=(64,), d_widths=(64,),
        loss="bce", batch=128, kimg=400.0, g_lr=Cosine(2e-4, 2e-4), d_lr=Cosine(2e-4, 2e-4), beta1=0.5,
        beta2=Cosine(0.999, 0.999),
    ),
    # Seconds, not minutes: for tests and for trying the commands.
    "tiny": dict(
        architecture="normfree", size=16, z_dim=8, g_widths=(16, 16), d_widths=(16, 16),
        loss="relativistic", batch=8, kimg=0.4, g_lr=Cosine(2e-3, 1e-3), d_lr=Cosine(2e-3, 1e-3), beta1=0.0,
        beta2=Cosine(0.9, 0.99), gamma=Cosine(1.0, 0.1), penalty_every=2, augment=Cosine(0.2, 0.2), tick_kimg=0.1,
        ema_halflife_kimg=0.1,
    ),
    "tiny-dcgan": dict(
        architecture="dcgan", size=16, z_dim=8, g_widths=(16,), d_widths=(16,),
        loss="bce", batch=8, kimg=0.4, g_lr=Cosine(2e-4, 2e-4), d_lr=Cosine(2e-4, 2e-4), beta1=0.5,
        beta2=Cosine(0.999, 0.999), tick_kimg=0.1, ema_halflife_kimg=0.1,
    ),
}
# fmt: on
