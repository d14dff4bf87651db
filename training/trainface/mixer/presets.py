"""The recipes of mixers as a table: one row each. What they reach stands in LOG.md with its command."""

from __future__ import annotations

from typing import Any

from genface.errors import UserError
from trainface.mixer.config import MixerConfig
from trainface.schedules import Cosine


def preset(name: str) -> MixerConfig:
    """The row of that name; raises UserError naming the known ones."""
    if name not in PRESETS:
        raise UserError(f"unknown preset {name!r}; known: {', '.join(PRESETS)}")
    return MixerConfig(preset=name, **PRESETS[name])


_MODERN64: dict[str, Any] = dict(
    design="modern", size=64, widths=(64, 128, 256, 256), batch=32, pixel_loss="l1", perceptual=1.0,
    perceptual_share=0.25, lr=Cosine(1e-3, 1e-4), beta2=0.99,
)  # fmt: skip

# The weak game: R1's gamma goes with the pixels as in the GANs' presets, and beta1 is 0.
_CRITIC64: dict[str, Any] = dict(
    adversarial=Cosine(0.0, 0.05), critic_widths=(64, 128, 256, 256), critic_lr=Cosine(1e-3, 2e-4),
    gamma=Cosine(5.0, 1.0), penalty_every=4,
)  # fmt: skip

# fmt: off
PRESETS: dict[str, dict[str, Any]] = {
    # The autoencoder that a first course draws: convolutions with max pooling, upsampling, a sigmoid, cross-entropy.
    "ae64-classic": dict(
        method="autoencoder", design="classic", size=64, code_dim=256, widths=(32, 64, 128, 256), batch=64,
        pixel_loss="bce", kimg=400.0, lr=Cosine(1e-3, 1e-3), beta2=0.999,
    ),
    # Residual and norm-free, learning for features as well as pixels, with a code that is kept near a Gaussian one.
    "ae64": dict(method="autoencoder", code_dim=256, kl=3e-4, kimg=400.0, **_MODERN64, **_CRITIC64),
    # From a face recogniser's vector through dense layers to a picture.
    "embed64-classic": dict(
        method="embedding", design="classic", size=64, widths=(512, 1024), batch=64, pixel_loss="mse", kimg=400.0,
        lr=Cosine(1e-3, 1e-3), beta2=0.999,
    ),
    "embed64": dict(method="embedding", kimg=400.0, **_MODERN64, **_CRITIC64),
    # No critic: the generator draws faces already.
    "gan-encoder64": dict(
        method="gan", kimg=400.0, latent=Cosine(1.0, 0.1), synthetic_kimg=100.0, sphere=0.1, **_MODERN64,
    ),
    # Seconds, not minutes: for tests and for trying the commands.
    "tiny-ae-classic": dict(
        method="autoencoder", design="classic", size=16, code_dim=8, widths=(8, 8), batch=8, pixel_loss="bce", kimg=0.4,
        lr=Cosine(2e-3, 2e-3), tick_kimg=0.1, ema_halflife_kimg=0.1,
    ),
    "tiny-ae": dict(
        method="autoencoder", design="modern", size=16, code_dim=8, widths=(8, 8), batch=8, pixel_loss="l1",
        perceptual=0.1, kl=1e-3, adversarial=Cosine(0.05, 0.05), critic_widths=(8, 8), critic_lr=Cosine(1e-3, 1e-3),
        gamma=Cosine(1.0, 1.0), penalty_every=2, kimg=0.4, lr=Cosine(2e-3, 2e-3), tick_kimg=0.1, ema_halflife_kimg=0.1,
    ),
    "tiny-embed-classic": dict(
        method="embedding", design="classic", size=16, widths=(32,), batch=8, pixel_loss="mse", kimg=0.4,
        lr=Cosine(2e-3, 2e-3), tick_kimg=0.1, ema_halflife_kimg=0.1,
    ),
    "tiny-embed": dict(
        method="embedding", design="modern", size=16, widths=(8, 8), batch=8, pixel_loss="l1", kimg=0.4,
        lr=Cosine(2e-3, 2e-3), tick_kimg=0.1, ema_halflife_kimg=0.1,
    ),
    "tiny-gan-encoder": dict(
        method="gan", design="modern", size=16, widths=(8, 8), batch=8, pixel_loss="l1", latent=Cosine(1.0, 0.5),
        synthetic_kimg=0.2, sphere=0.1, kimg=0.4, lr=Cosine(2e-3, 2e-3), tick_kimg=0.1, ema_halflife_kimg=0.1,
    ),
}
# fmt: on
