"""Networks and configurations: shapes, sizes, statistics at the start, refusals."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from genface.errors import UserError
from trainface.config import Config
from trainface.game.penalties import zero_centred_penalty
from trainface.layers import set_noise
from trainface.networks import build_discriminator, build_generator, generate_scales, judges_batches, reals_at_scales
from trainface.networks.r3 import Block
from trainface.presets import PRESETS, preset


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds_a_pair_that_fits(name: str) -> None:
    config = preset(name)
    torch.manual_seed(0)
    G, D = build_generator(config), build_discriminator(config)
    with torch.no_grad():
        scales = generate_scales(G, torch.randn(2, config.z_dim))
        assert scales[-1].shape == G(torch.randn(2, config.z_dim)).shape == (2, 3, config.size, config.size)
        assert [images.shape for images in reals_at_scales(D, scales[-1])] == [images.shape for images in scales]
        logits = D(*scales)
    assert logits.shape == (2, 1)
    assert logits.dtype == torch.float32


def count(config: Config) -> tuple[float, float]:
    """Parameters of G and D in millions."""
    networks = build_generator(config), build_discriminator(config)
    return tuple(sum(p.numel() for p in network.parameters()) / 1e6 for network in networks)  # type: ignore[return-value]


def test_published_sizes() -> None:
    """Parameters as ../shared/notes/training.md counts them: its S64, M64g, DCGAN-64 and DCGAN-128."""
    m64g = preset("l64").with_settings(
        {"g_widths": "256,256,256,128,64", "d_widths": "64,128,256,256,256", "blocks": "1"}
    )
    dcgan128 = preset("dcgan128").with_settings({"g_widths": "64", "d_widths": "64"})
    assert count(preset("s64")) == pytest.approx((1.73, 1.71), abs=0.006)
    assert count(m64g) == pytest.approx((1.05, 1.03), abs=0.006)
    assert count(preset("dcgan64")) == pytest.approx((3.58, 2.77), abs=0.006)
    assert count(dcgan128) == pytest.approx((12.8, 11.2), abs=0.06)


def test_large_networks_in_parameters_and_multiplications() -> None:
    """L64 with groups of 64 by hand, per block C^2 + C, 576 C + C, C^2: the 0.8 GMAC of the notes within 5 %."""
    widths, sides = (384, 384, 256, 128, 64), (4, 8, 16, 32, 64)
    block = {width: 2 * width**2 + 576 * width + 2 * width for width in widths}
    changes = [(8, 384 * 256), (16, 256 * 128), (32, 128 * 64)]
    start = 384 * 16 + 64 * 384
    parameters = 2 * sum(block[width] for width in widths) + sum(size for _, size in changes) + start + 3 * 64
    assert count(preset("l64"))[0] == parameters / 1e6
    products = 2 * sum((block[width] - 2 * width) * side**2 for width, side in zip(widths, sides, strict=True))
    products += sum(size * side**2 for side, size in changes) + 64**2 * 3 * 64 + 64 * 384
    assert multiplications(preset("l64")) == products
    assert products == pytest.approx(0.803e9, rel=0.05)


def multiplications(config: Config) -> int:
    """Multiplications of G's convolutions and linear layers for one image, counted while it runs."""
    total, G = 0, build_generator(config)

    def add(module: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        weight = module.get_parameter("weight")
        total += weight.numel() * (math.prod(output.shape[2:]) if output.ndim == 4 else 1)

    for module in G.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(add)
    G(torch.zeros(1, config.z_dim))
    return total


@pytest.mark.parametrize(("width", "groups"), [(384, 6), (64, 1), (32, 1), (96, 1)])
def test_groups_have_64_channels_where_they_divide_the_width(width: int, groups: int) -> None:
    assert Block(width, 1.0).mix.groups == groups


def test_residual_blocks_begin_as_identities_and_learn() -> None:
    torch.manual_seed(0)
    block, x = Block(64, 1.0), torch.randn(2, 64, 8, 8)
    assert torch.equal(block(x), x)
    block(x).square().sum().backward()
    assert block.leave.weight.grad is not None
    assert block.leave.weight.grad.abs().max() > 0


@pytest.mark.parametrize("name", ["l64", "msg128", "progressive128"])
def test_large_networks_start_with_a_sane_scale(name: str) -> None:
    torch.manual_seed(0)
    config = preset(name)
    G, D = build_generator(config), build_discriminator(config)
    with torch.no_grad():
        for images in generate_scales(G, torch.randn(16, config.z_dim)):
            assert 0.2 < images.std().item() < 1.5
        logits = D(*reals_at_scales(D, torch.randn(16, 3, config.size, config.size)))
    assert 0.01 < logits.std().item() < 10


def dcgan(norm: str) -> Config:
    return preset("tiny-dcgan").with_settings({"d_norm": norm})


@pytest.mark.parametrize("norm", ["batch", "instance", "spectral", "none"])
def test_normalisations_of_the_classrooms_discriminator(norm: str) -> None:
    torch.manual_seed(0)
    D = build_discriminator(dcgan(norm))
    images = torch.randn(8, 3, 16, 16)
    assert judges_batches(D) == (norm == "batch")
    convolutions = [module for module in D.modules() if isinstance(module, nn.Conv2d)]
    biases = {"batch": [False, False, False], "instance": [True, False, True]}.get(norm, [True, True, True])
    assert [convolution.bias is not None for convolution in convolutions] == biases
    norms = [module for module in D.modules() if isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d)]
    assert len(norms) == (norm in ("batch", "instance"))
    assert all(module.affine for module in norms)
    if norm != "batch":
        # Spectral norm's power iteration moves in training mode, so the two calls are compared without it.
        D.eval()
        torch.testing.assert_close(D(images)[:3], D(images[:3]))


def test_spectral_norm_bounds_every_convolution() -> None:
    torch.manual_seed(0)
    D = build_discriminator(dcgan("spectral"))
    for _ in range(50):
        D(torch.randn(2, 3, 16, 16))
    D.eval()
    for module in D.modules():
        if isinstance(module, nn.Conv2d):
            # The largest singular value, to which the power iteration converges slowly where two lie close.
            assert torch.linalg.matrix_norm(module.weight.flatten(1), 2).item() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("norm", ["instance", "spectral", "none"])
def test_penalty_goes_through_every_normalisation(norm: str, bf16: bool) -> None:
    """`torch.func.grad` gives what `autograd.grad` gives, and a gradient for every weight that the norm depends on."""
    torch.manual_seed(0)
    D = build_discriminator(dcgan(norm).with_settings({"d_noise": "0.1"})).eval()
    images = torch.randn(4, 3, 16, 16)
    for training in (False, True):
        D.train(training)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            _, squared_norms = zero_centred_penalty(lambda x: D(x), (images,))
        assert squared_norms.dtype == torch.float32
        (squared_norms.mean() + 0.0 * D(images).sum()).backward()
        for name, parameter in D.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
    D.eval()
    leaf = images.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        (gradient,) = torch.autograd.grad(D(leaf).sum(), leaf)
        _, squared_norms = zero_centred_penalty(lambda x: D(x), (images,))
    torch.testing.assert_close(squared_norms, gradient.square().sum((1, 2, 3)), rtol=1e-4, atol=0)


def test_noise_layers_disturb_training_alone() -> None:
    D = build_discriminator(dcgan("none").with_settings({"d_noise": "0.1"}))
    images = torch.randn(4, 3, 16, 16)
    set_noise(D, 0.1)
    assert not torch.equal(D(images), D(images))
    D.eval()
    assert torch.equal(D(images), D(images))


def test_plain_dcgan_keeps_the_names_of_older_checkpoints() -> None:
    config = preset("tiny-dcgan")
    norms = [f"layers.1.{name}" for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")]
    norms = [*norms, *(name.replace("1.", "4.") for name in norms)]
    assert set(build_generator(config).state_dict()) == {*(f"layers.{i}.weight" for i in (0, 3, 6)), *norms}
    norms = [name.replace("1.", "3.", 1) for name in norms[:5]]
    assert set(build_discriminator(config).state_dict()) == {*(f"layers.{i}.weight" for i in (0, 2, 5)), *norms}


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
        ({"architecture": "dcgan", "g_widths": "8", "d_widths": "8", "d_norm": "batch"}, "BatchNorm"),
    ],
)
def test_unusable_settings_are_refused_with_the_reason(tiny: Config, settings: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        tiny.with_settings(settings)


def test_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"s64, m128, .*dcgan64"):
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
