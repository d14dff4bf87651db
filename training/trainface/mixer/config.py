"""What the run of a mixer is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from genface.mixer_card import Method
from genface.mixing import Mixing
from trainface.config import OFF
from trainface.record import require, require_range
from trainface.schedules import Cosine
from trainface.supervised.config import SupervisedConfig

Design = Literal["classic", "modern"]
PixelLoss = Literal["l1", "mse", "bce"]


@dataclass(frozen=True, kw_only=True)
class MixerConfig(SupervisedConfig):
    """Everything that decides what a mixer's run computes."""

    # The networks.
    method: Method
    """Where codes come from: an encoder trained with the decoder (autoencoder), an embedder (embedding), or an encoder
    into the latent space of a generator (gan)."""
    design: Design
    """Which networks: classic (max pooling, upsampling, dense layers, a sigmoid) or modern (norm-free, residual)."""
    code_dim: int | None = None
    """Numbers in a code; none: what the embedder or the generator has."""
    widths: tuple[int, ...]
    """Channels at size/2, size/4 ... 4 px, of the decoder in turn; the hidden layers of a classic embedding decoder."""
    blocks: int = 1
    """Residual blocks at each resolution (modern)."""
    generator: str | None = None
    """The configuration of the generator as JSON (gan); filled in from its checkpoint."""

    # What is learned for.
    pixel_loss: PixelLoss
    """How pixels are compared: l1 in [-1, 1] (modern); mse or bce in [0, 1] (classic)."""
    perceptual: float = 0.0
    """Weight of the distance in EfficientNet-Lite0's features."""
    perceptual_share: float = 1.0
    """Share of the batch on which that distance is taken, which costs more than the networks do."""
    kl: float = 0.0
    """Weight of the divergence of a code from a standard normal one (autoencoder); above 0, codes are drawn."""
    latent: Cosine = OFF
    """Weight of the squared error of the latent on synthetic pairs (gan)."""
    synthetic_kimg: float = 0.0
    """Synthetic pairs alone for so long; real faces join them then (gan)."""
    sphere: float = 0.0
    """Weight of the pull of a latent's length to that of Gaussian ones (gan)."""

    # The critic.
    adversarial: Cosine = OFF
    """Weight of the relativistic loss against a critic."""
    critic_widths: tuple[int, ...] = ()
    """Channels of the critic at size/2, size/4 ... 4 px."""
    critic_lr: Cosine = OFF
    """Adam's learning rate for the critic."""
    gamma: Cosine = OFF
    """gamma / 2 times the squared gradient norm of the critic on reals (R1)."""
    penalty_every: int = 4
    """Take that penalty in every k-th step, with weight k."""

    # The data.
    holdout: float = 0.1
    """Share of the identities that stays out of training, chosen by a hash of the name."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, kind in {"method": Method, "design": Design, "pixel_loss": PixelLoss}.items():
            require(getattr(self, name) in get_args(kind), name, getattr(self, name), get_args(kind))
        require(self.size in (16, 32, 64, 128, 256), "size", self.size, (16, 32, 64, 128, 256))
        require(self.code_dim is None or self.code_dim > 0, "code_dim", self.code_dim, "more than 0, or none")
        require(self.method != "autoencoder" or self.code_dim is not None, "code_dim", "none", "a number (autoencoder)")
        require(self.penalty_every > 0, "penalty_every", self.penalty_every, "more than 0")
        require(self.blocks >= 0, "blocks", self.blocks, "0 or more")
        for name in ("perceptual", "kl", "latent", "sphere", "synthetic_kimg", "adversarial", "gamma"):
            require_range(name, getattr(self, name), 0.0, 1e6)
        require_range("critic_lr", self.critic_lr, 0.0, 1.0)
        require_range("perceptual_share", self.perceptual_share, 0.01, 1.0)
        require_range("holdout", self.holdout, 0.0, 0.5)
        self._check_widths()
        self._check_what_belongs_together()

    @property
    def mixing(self) -> Mixing:
        """How the codes are mixed: embeddings by direction, Gaussian codes at their length, others by their mean."""
        if self.method == "embedding":
            return "sphere"
        return "latent" if self.method == "gan" or self.kl > 0 else "linear"

    @property
    def stages(self) -> int:
        """Halvings from `size` to 4 px."""
        return self.size.bit_length() - 3

    @property
    def code_size(self) -> int:
        """`code_dim`, where it is known: from the start, or once embedder or generator were opened."""
        assert self.code_dim is not None, "the run fills it in before networks are built"
        return self.code_dim

    def _check_widths(self) -> None:
        dense = self.method == "embedding" and self.design == "classic"
        wanted = {} if dense else {"widths": self.stages}
        if self.adversarial != OFF:
            wanted["critic_widths"] = self.stages
        for name, count in wanted.items():
            widths = getattr(self, name)
            require(
                len(widths) == count and all(width > 0 for width in widths),
                name,
                ",".join(map(str, widths)),
                f"{count} positive number(s) at {self.size} px",
            )
        require(bool(self.widths) and min(self.widths) > 0, "widths", self.widths, "positive numbers")

    def _check_what_belongs_together(self) -> None:
        signed = self.design == "modern"
        allowed = ("l1",) if signed else ("mse", "bce")
        require(self.pixel_loss in allowed, "pixel_loss", self.pixel_loss, f"{' or '.join(allowed)} ({self.design})")
        only = {"kl": "autoencoder", "latent": "gan", "sphere": "gan", "synthetic_kimg": "gan"}
        for name, method in only.items():
            value = getattr(self, name)
            require(value in (0, OFF) or self.method == method, name, value, f"0, but for the method {method}")
        require(self.method != "gan" or signed, "design", self.design, "modern (gan)")
        require(self.kl == 0 or signed, "kl", self.kl, "0 with a classic encoder, whose codes are points")
        require(
            self.method != "gan" or self.synthetic_kimg == 0 or self.latent != OFF,
            "latent",
            self.latent,
            "more than 0 while there are synthetic pairs alone",
        )
