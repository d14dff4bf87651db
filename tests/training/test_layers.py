"""Noise layers: noise in training, none elsewhere."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trainface.layers import GaussianNoise, set_noise
from trainface.networks import build_discriminator, build_generator
from trainface.presets import preset


def test_noise_has_the_deviation_that_was_set() -> None:
    torch.manual_seed(0)
    layer, x = GaussianNoise(), torch.full((100, 10, 10, 10), 3.0)
    assert torch.equal(layer(x), x), "none until it is set"
    set_noise(layer, 0.5)
    noise = layer(x) - x
    # Of 100,000 draws the mean strays by 0.0016 and the deviation by 0.0011; five times that.
    assert noise.mean().item() == pytest.approx(0.0, abs=0.008)
    assert noise.std().item() == pytest.approx(0.5, abs=0.006)
    assert not torch.equal(layer(x), layer(x))


def test_eval_mode_is_the_identity() -> None:
    layer = GaussianNoise().eval()
    set_noise(layer, 0.5)
    x = torch.randn(3, 4, 2, 2)
    assert layer(x) is x


def test_the_deviation_is_no_part_of_a_checkpoint_and_follows_the_precision() -> None:
    layer = GaussianNoise()
    set_noise(layer, 0.25)
    assert layer.state_dict() == {}
    assert layer(torch.zeros(4, 3, 2, 2, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_set_noise_reaches_every_layer_and_bears_none() -> None:
    network = nn.Sequential(GaussianNoise(), nn.Sequential(nn.ReLU(), GaussianNoise()))
    set_noise(network, 0.1)
    assert [module.std.item() for module in network.modules() if isinstance(module, GaussianNoise)] == [
        pytest.approx(0.1)
    ] * 2
    set_noise(nn.ReLU(), 0.1)


def test_the_classrooms_networks_have_noise_before_every_convolution_and_only_if_asked() -> None:
    plain = preset("tiny-dcgan")
    noisy = plain.with_settings({"g_noise": "0.1:0", "d_noise": "0:0.1"})
    for build in (build_generator, build_discriminator):
        layers = list(build(noisy).layers)  # type: ignore[arg-type]
        convolutions = [
            index for index, layer in enumerate(layers) if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
        ]
        assert len(convolutions) == 3
        assert all(isinstance(layers[index - 1], GaussianNoise) for index in convolutions)
        assert not any(isinstance(module, GaussianNoise) for module in build(plain).modules())


def test_noisy_and_plain_networks_share_their_checkpoints() -> None:
    torch.manual_seed(0)
    plain, noisy = (
        build_generator(config).eval()
        for config in (preset("tiny-dcgan"), preset("tiny-dcgan").with_settings({"g_noise": "0.1"}))
    )
    noisy.load_state_dict(plain.state_dict())
    set_noise(noisy, 0.1)
    z = torch.randn(4, 8)
    assert torch.equal(noisy(z), plain(z)), "an averaged generator is always in eval mode"
    noisy.train()
    plain.train()
    assert not torch.allclose(noisy(z), plain(z))
