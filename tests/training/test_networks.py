"""Networks and configurations: shapes, sizes, statistics at the start, refusals."""

import pytest
import torch

from genface.errors import UserError
from trainface.config import PRESETS, Config, preset
from trainface.networks import build_discriminator, build_generator, judges_batches


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds_a_pair_that_fits(name: str) -> None:
    config = preset(name)
    torch.manual_seed(0)
    G, D = build_generator(config), build_discriminator(config)
    images = G(torch.randn(4, config.z_dim))
    assert images.shape == (4, 3, config.size, config.size)
    logits = D(images)
    assert logits.shape == (4, 1)
    assert logits.dtype == torch.float32


def test_published_sizes() -> None:
    """Parameters as ../shared/notes/training.md counts them: S64 1.73 M and 1.71 M, DCGAN-64 3.58 M and 2.77 M."""
    counts = {
        name: tuple(
            sum(p.numel() for p in net.parameters()) / 1e6
            for net in (build_generator(preset(name)), build_discriminator(preset(name)))
        )
        for name in ("s64", "dcgan64")
    }
    assert counts["s64"] == pytest.approx((1.73, 1.71), abs=0.006)
    assert counts["dcgan64"] == pytest.approx((3.58, 2.77), abs=0.006)


def test_normfree_starts_with_a_sane_scale() -> None:
    torch.manual_seed(0)
    config = preset("s64")
    images = build_generator(config)(torch.randn(64, config.z_dim))
    assert 0.2 < images.std().item() < 1.0
    logits = build_discriminator(config)(torch.randn(64, 3, 64, 64))
    assert 0.1 < logits.std().item() < 10


def test_judges_batches_is_about_batch_norm() -> None:
    assert judges_batches(build_discriminator(preset("tiny-dcgan")))
    D = build_discriminator(preset("tiny"))
    assert not judges_batches(D)
    images = torch.randn(4, 3, 16, 16)
    torch.testing.assert_close(D(images)[:2], D(images[:2]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gamma": "abc"}, "no schedule"),
        ({"gama": "1"}, "unknown setting 'gama'"),
        ({"batch": "0"}, "batch=0"),
        ({"size": "48"}, "size=48"),
        ({"augment": "0.9"}, "augment"),
        ({"loss": "wgan2"}, "relativistic, bce"),
        ({"g_widths": "8"}, "2 positive number"),
        ({"x_flip": "maybe"}, "x_flip=maybe"),
        ({"kimg": "nan"}, "kimg=nan"),
        ({"kimg": "inf"}, "kimg=inf"),
        ({"kimg": "0.0001"}, "kimg=0.0001"),
        ({"tick_kimg": "inf"}, "tick_kimg=inf"),
        ({"beta2": "0.9:1"}, "beta2=0.9:1"),
        ({"architecture": "dcgan", "g_widths": "8", "d_widths": "8"}, "BatchNorm"),
    ],
)
def test_unusable_settings_are_refused_with_the_reason(tiny: Config, settings: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        tiny.with_settings(settings)


def test_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(UserError, match="s64, dcgan64"):
        preset("s65")


@pytest.mark.parametrize("name", PRESETS)
def test_config_survives_the_checkpoint(name: str) -> None:
    config = preset(name)
    assert Config.from_dict(config.to_dict()) == config


def test_config_keeps_every_digit(tiny: Config) -> None:
    config = tiny.with_settings({"g_lr": "0.000123456789", "beta2": "0.9999999"})
    assert Config.from_dict(config.to_dict()) == config


def test_config_of_another_version_is_refused(tiny: Config) -> None:
    with pytest.raises(UserError, match="another version"):
        Config.from_dict(tiny.to_dict() | {"mystery": 1})


def test_cosine_schedule(tiny: Config) -> None:
    gamma = tiny.gamma
    assert (gamma.at(0), gamma.at(1), gamma.at(7)) == (1.0, 0.1, 0.1)
    assert gamma.at(0.5) == pytest.approx(0.55)
    assert tiny.progress(200) == 0.5
