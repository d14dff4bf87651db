"""The recipes as a table: one row each. What they reach stands in LOG.md with its command."""

from __future__ import annotations

from typing import Any

from genface.errors import UserError
from trainface.config import Config
from trainface.schedules import Cosine


def preset(name: str) -> Config:
    """The row of that name; raises UserError naming the known ones."""
    if name not in PRESETS:
        raise UserError(f"unknown preset {name!r}; known: {', '.join(PRESETS)}")
    return Config(preset=name, **PRESETS[name])


def constant(*values: float) -> tuple[Cosine, ...]:
    """Schedules that stay where they are."""
    return tuple(Cosine(value, value) for value in values)


_ADAM_R3: dict[str, Any] = dict(beta1=Cosine(0.0, 0.0), beta2=Cosine(0.9, 0.99))
_ADAM_DCGAN: dict[str, Any] = dict(beta1=Cosine(0.5, 0.5), beta2=Cosine(0.999, 0.999))

# The classroom recipe (Chintala et al. 2016; Salimans et al. 2016), every trick mild and all of them at once. Instance
# norm stands in D because the penalty needs each image judged alone. G and D learn at one rate here, since two rates
# and the skipping of D's steps oscillate together.
_TRICKS: dict[str, Any] = dict(
    d_norm="instance", penalty="length-one", gamma=Cosine(10.0, 10.0), penalty_every=4,
    instance_noise=Cosine(0.1, 0.0), g_noise=Cosine(0.05, 0.0), d_noise=Cosine(0.05, 0.0),
    soft_labels=Cosine(0.1, 0.1), label_noise=Cosine(0.05, 0.0), label_flips=Cosine(0.05, 0.0),
    real_as_fake=Cosine(0.02, 0.0), replay=Cosine(0.1, 0.1), skip_d_below=Cosine(0.7, 0.5),
)  # fmt: skip

# fmt: off
PRESETS: dict[str, dict[str, Any]] = {
    # Relativistic loss with R1 + R2 on small norm-free nets: the default, made for two cores. 125 kimg of AFHQ-cat gave
    # Frechet distances (Lite0) of 57 and 53 with two seeds; dcgan64 at the same time 219, dcgan64-tricks 252 and 247.
    "s64": dict(
        architecture="normfree", size=64, z_dim=64, g_widths=(256, 256, 128, 64), d_widths=(64, 128, 256, 256),
        loss="relativistic", batch=32, kimg=400.0, g_lr=Cosine(32e-4, 4e-4), d_lr=Cosine(24e-4, 4e-4), **_ADAM_R3,
        gamma=Cosine(10.0, 1.0), penalty_every=4, augment=Cosine(0.1, 0.3),
    ),
    # The same with one stage more; meant to grow from an s64 checkpoint (--init-from). gamma goes with the pixels.
    "m128": dict(
        architecture="normfree", size=128, z_dim=64, g_widths=(256, 256, 128, 64, 32), d_widths=(32, 64, 128, 256, 256),
        loss="relativistic", batch=32, kimg=200.0, g_lr=Cosine(3e-4, 1e-4), d_lr=Cosine(2e-4, 1e-4), **_ADAM_R3,
        gamma=Cosine(40.0, 4.0), penalty_every=4, augment=Cosine(0.1, 0.3),
    ),
    # R3GAN's blocks with groups of 64 channels, for a GPU.
    "l64": dict(
        architecture="r3", size=64, z_dim=64, g_widths=(384, 384, 256, 128, 64), d_widths=(64, 128, 256, 384, 384),
        blocks=2, loss="relativistic", batch=256, kimg=10000.0, g_lr=Cosine(3e-4, 5e-5), d_lr=Cosine(3e-4, 5e-5),
        **_ADAM_R3, gamma=Cosine(2.0, 0.2), augment=Cosine(0.0, 0.3), augment_target=0.3,
        ema_halflives_kimg=constant(20.0, 100.0, 500.0), tick_kimg=50.0, score_kimg=250.0, score_images=2000,
    ),
    "l128": dict(
        architecture="r3", size=128, z_dim=64, g_widths=(384, 384, 256, 128, 64, 32),
        d_widths=(32, 64, 128, 256, 384, 384),
        blocks=2, loss="relativistic", batch=128, kimg=10000.0, g_lr=Cosine(3e-4, 5e-5), d_lr=Cosine(3e-4, 5e-5),
        **_ADAM_R3, gamma=Cosine(17.0, 1.7), augment=Cosine(0.0, 0.3), augment_target=0.3,
        ema_halflives_kimg=constant(20.0, 100.0, 500.0), tick_kimg=50.0, score_kimg=250.0, score_images=2000,
    ),
    # Radford et al. 2015 with BCE, as the PyTorch tutorial has it; collapses sooner or later.
    "dcgan64": dict(
        architecture="dcgan", size=64, z_dim=100, g_widths=(64,), d_widths=(64,), d_norm="batch",
        loss="bce", batch=128, kimg=400.0, g_lr=Cosine(2e-4, 2e-4), d_lr=Cosine(2e-4, 2e-4), **_ADAM_DCGAN,
    ),
    "dcgan128": dict(
        architecture="dcgan", size=128, z_dim=100, g_widths=(32,), d_widths=(32,), d_norm="batch",
        loss="bce", batch=128, kimg=400.0, g_lr=Cosine(2e-4, 2e-4), d_lr=Cosine(2e-4, 2e-4), **_ADAM_DCGAN,
    ),
    "dcgan64-tricks": dict(
        architecture="dcgan", size=64, z_dim=100, g_widths=(64,), d_widths=(64,),
        loss="bce", batch=64, kimg=400.0, g_lr=Cosine(2e-4, 1e-4), d_lr=Cosine(2e-4, 1e-4), **_ADAM_DCGAN, **_TRICKS,
    ),
    "dcgan128-tricks": dict(
        architecture="dcgan", size=128, z_dim=100, g_widths=(32,), d_widths=(32,),
        loss="bce", batch=64, kimg=400.0, g_lr=Cosine(2e-4, 1e-4), d_lr=Cosine(2e-4, 1e-4), **_ADAM_DCGAN, **_TRICKS,
    ),
    # One pair of networks that emits and reads every scale (Karnewar & Wang 2020), or grows (Karras et al. 2018).
    "msg128": dict(
        architecture="pyramid", size=128, z_dim=64, g_widths=(256, 256, 256, 128, 64, 32),
        d_widths=(32, 64, 128, 256, 256, 256),
        loss="relativistic", batch=32, kimg=1000.0, g_lr=Cosine(3e-4, 1e-4), d_lr=Cosine(3e-4, 1e-4), **_ADAM_R3,
        gamma=Cosine(17.0, 1.7), penalty_every=4, augment=Cosine(0.1, 0.3),
    ),
    "progressive128": dict(
        architecture="pyramid", size=128, z_dim=64, g_widths=(256, 256, 256, 128, 64, 32),
        d_widths=(32, 64, 128, 256, 256, 256), regime="progressive",
        loss="relativistic", batch=32, kimg=1000.0, g_lr=Cosine(3e-4, 1e-4), d_lr=Cosine(3e-4, 1e-4), **_ADAM_R3,
        gamma=Cosine(17.0, 1.7), penalty_every=4, augment=Cosine(0.1, 0.3),
    ),
    # Seconds, not minutes: for tests and for trying the commands.
    "tiny": dict(
        architecture="normfree", size=16, z_dim=8, g_widths=(16, 16), d_widths=(16, 16),
        loss="relativistic", batch=8, kimg=0.4, g_lr=Cosine(2e-3, 1e-3), d_lr=Cosine(2e-3, 1e-3), **_ADAM_R3,
        gamma=Cosine(1.0, 0.1), penalty_every=2, augment=Cosine(0.2, 0.2), tick_kimg=0.1,
        ema_halflives_kimg=constant(0.1), score_kimg=0.0,
    ),
    "tiny-dcgan": dict(
        architecture="dcgan", size=16, z_dim=8, g_widths=(16,), d_widths=(16,), d_norm="batch",
        loss="bce", batch=8, kimg=0.4, g_lr=Cosine(2e-4, 2e-4), d_lr=Cosine(2e-4, 2e-4), **_ADAM_DCGAN,
        tick_kimg=0.1, ema_halflives_kimg=constant(0.1), score_kimg=0.0,
    ),
}
# fmt: on
