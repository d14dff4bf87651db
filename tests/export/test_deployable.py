from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from exportface.deployable import Deployable, WithFloats, fold_batch_norm, to_levels
from exportface.parity import quantiser_errors


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_folding_keeps_the_function(transposed: bool, bias: bool) -> None:
    torch.manual_seed(0)
    convolution = (nn.ConvTranspose2d if transposed else nn.Conv2d)(5, 7, 4, stride=2, padding=1, bias=bias)
    norm = nn.BatchNorm2d(7)
    for tensor in (norm.running_mean, norm.weight, norm.bias):
        tensor.data.normal_()
    norm.running_var.uniform_(0.1, 3.0)
    network = nn.Sequential(nn.Sequential(convolution, norm, nn.ReLU()), nn.Conv2d(7, 3, 1)).eval()
    images = torch.randn(2, 5, 8, 8)
    folded = fold_batch_norm(network)
    # fp32 sums of 80 terms in another order: about 1e-6 of values about 1.
    torch.testing.assert_close(folded(images), network(images), rtol=0, atol=1e-5)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())


def test_folding_leaves_the_original_alone() -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)).eval()
    network[1].running_mean.fill_(5.0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fold_batch_norm(network)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_a_batch_norm_that_cannot_be_folded_is_noticed() -> None:
    with pytest.raises(AssertionError):
        fold_batch_norm(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3)))


def test_levels_at_the_ends_and_between() -> None:
    floats = torch.tensor([-1e4, -1.0, 0.0, 0.25, 1.0, 1e4]).view(6, 1, 1, 1).expand(6, 3, 2, 4)
    levels = to_levels(floats)
    assert levels.dtype == torch.uint8
    assert levels.shape == (6, 2, 4, 3)
    # 0 -> 127.5 -> 128, half to even; 0.25 -> 159.375 -> 159.
    assert levels[:, 0, 0, 0].tolist() == [0, 0, 128, 159, 255, 255]


def test_quantising_is_that_of_genface_and_of_training() -> None:
    assert quantiser_errors(lambda floats: to_levels(torch.from_numpy(floats)).numpy(), 16, 16) == 0


@pytest.mark.parametrize("name", ["tiny", "tiny-dcgan"])
def test_deployable_is_fp32_contiguous_and_frozen(exported: Any, name: str) -> None:
    deployable = exported(name).deployable
    assert not deployable.training
    for tensor in [*deployable.parameters(), *deployable.buffers()]:
        assert tensor.dtype == torch.float32
        assert tensor.is_contiguous()
        assert not tensor.requires_grad


@pytest.mark.parametrize("name", ["tiny", "tiny-dcgan"])
def test_deployable_draws_what_training_showed(exported: Any, name: str) -> None:
    made = exported(name)
    z = torch.randn(16, made.config.z_dim, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        images, floats = WithFloats(made.deployable)(z)
        assert torch.equal(images, made.deployable(z))
        torch.testing.assert_close(floats, made.generator(z), rtol=0, atol=1e-5)
    assert np.ptp(images.numpy()) > 100


def test_a_generator_in_half_precision_ships_in_fp32() -> None:
    deployable = Deployable(nn.Sequential(nn.Conv2d(3, 3, 1)).to(torch.bfloat16))
    assert {tensor.dtype for tensor in deployable.parameters()} == {torch.float32}
