"""Losses and penalties against their formulas."""

import math

import pytest
import torch
from torch import Tensor, nn

from trainface import losses
from trainface.penalties import zero_centred_penalty

REAL, FAKE = torch.tensor([[2.0], [-1.0]]), torch.tensor([[0.5], [1.0]])


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_relativistic_pairs_each_real_with_its_fake() -> None:
    expected_d = (softplus(-(2.0 - 0.5)) + softplus(-(-1.0 - 1.0))) / 2
    expected_g = (softplus(-(0.5 - 2.0)) + softplus(-(1.0 + 1.0))) / 2
    assert losses.relativistic_discriminator(REAL, FAKE).item() == pytest.approx(expected_d, rel=1e-6)
    assert losses.relativistic_generator(FAKE, REAL).item() == pytest.approx(expected_g, rel=1e-6)


def test_relativistic_does_not_see_the_level_of_the_logits() -> None:
    shifted = losses.relativistic_discriminator(REAL + 7, FAKE + 7)
    torch.testing.assert_close(shifted, losses.relativistic_discriminator(REAL, FAKE))


def test_bce_matches_torch() -> None:
    bce = nn.BCEWithLogitsLoss()
    expected = bce(REAL, torch.ones(2, 1)) + bce(FAKE, torch.zeros(2, 1))
    torch.testing.assert_close(losses.bce_discriminator(REAL, FAKE), expected)
    torch.testing.assert_close(losses.bce_generator(FAKE, REAL), bce(FAKE, torch.ones(2, 1)))


@pytest.mark.parametrize("name", losses.LOSSES)
def test_every_loss_pulls_the_two_sides_apart(name: str) -> None:
    loss = losses.LOSSES[name]
    real, fake = torch.zeros(4, 1, requires_grad=True), torch.zeros(4, 1, requires_grad=True)
    loss.discriminator(real, fake).backward()
    assert real.grad is not None
    assert fake.grad is not None
    assert (real.grad < 0).all()  # descending raises real logits
    assert (fake.grad > 0).all()
    fake.grad = None
    loss.generator(fake, real.detach()).backward()
    assert (fake.grad < 0).all()


def test_penalty_of_a_linear_critic_is_its_squared_weight_norm() -> None:
    weight = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    images = torch.randn(5, 3, 4, 4)

    logits, squared_norms = zero_centred_penalty(lambda x: (x * weight).sum((1, 2, 3))[:, None], images)

    torch.testing.assert_close(squared_norms, weight.detach().square().sum().expand(5))
    torch.testing.assert_close(logits.detach()[:, 0], (images * weight.detach()).sum((1, 2, 3)))
    (gradient,) = torch.autograd.grad(squared_norms.mean(), weight)
    torch.testing.assert_close(gradient, 2 * weight.detach())


def test_penalty_equals_double_backward_through_a_network() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1), nn.Softplus(), nn.Flatten(), nn.Linear(128, 1))
    images = torch.randn(6, 3, 8, 8)

    def by_autograd(x: Tensor) -> Tensor:
        x = x.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
        return gradient.square().sum((1, 2, 3))

    _, squared_norms = zero_centred_penalty(net, images)
    expected = by_autograd(images)
    torch.testing.assert_close(squared_norms, expected)
    for mine, theirs in zip(
        torch.autograd.grad(squared_norms.sum(), list(net.parameters())[:3], allow_unused=True),
        torch.autograd.grad(expected.sum(), list(net.parameters())[:3], allow_unused=True),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs)


def test_pair_accuracy() -> None:
    assert losses.pair_accuracy(REAL, FAKE).item() == 0.5
