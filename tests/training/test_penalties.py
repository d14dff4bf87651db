"""Gradient penalties against closed forms, against autograd's double backward, and compiled."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainface.game import augment
from trainface.game.penalties import length_one_penalty, zero_centred_penalty
from trainface.networks import Scales


class TwoScales(nn.Module):
    """A critic of images at two scales, as a pyramid's D is."""

    def __init__(self) -> None:
        super().__init__()
        self.low, self.high = nn.Conv2d(3, 4, 4), nn.Conv2d(3, 4, 4, 2, 1)
        self.score = nn.Linear(4 + 64, 1)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        features = torch.cat([self.low(low).flatten(1), self.high(high).flatten(1)], dim=1)
        logits: Tensor = self.score(F.softplus(features))
        return logits


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1), nn.Softplus(), nn.Flatten(), nn.Linear(128, 1))


def images(seed: int, *sides: int) -> Scales:
    rng = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(6, 3, side, side, generator=rng) for side in sides)


def mix(value: float | None = None) -> Tensor:
    drawn = torch.rand(6, 1, 1, 1, generator=torch.Generator().manual_seed(9))
    return drawn if value is None else torch.full_like(drawn, value)


def squared_norms_by_autograd(critic: Callable[..., Tensor], scales: Scales) -> Tensor:
    scales = tuple(level.clone().requires_grad_(True) for level in scales)
    gradients = torch.autograd.grad(critic(*scales).sum(), scales, create_graph=True)
    return sum((gradient.square().sum((1, 2, 3)) for gradient in gradients), torch.zeros(6))


def assert_same_gradients(mine: Tensor, theirs: Tensor, net: nn.Module) -> None:
    wanted = list(net.parameters())
    pairs = zip(
        torch.autograd.grad(mine, wanted, allow_unused=True),
        torch.autograd.grad(theirs, wanted, allow_unused=True),
        strict=True,
    )
    seen = 0
    for one, other in pairs:
        # The last bias moves no gradient; one way of asking says None, the other zeros.
        one, other = (torch.zeros(()) if g is None or not g.any() else g for g in (one, other))
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
        seen += bool(one.any())
    assert seen >= 3


def linear(weight: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: (x * weight).sum((1, 2, 3))[:, None]


def test_zero_centred_penalty_of_a_linear_critic_is_its_squared_weight_norm() -> None:
    weight = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    (x,) = images(1, 4)
    logits, squared_norms = zero_centred_penalty(linear(weight), (x,))
    torch.testing.assert_close(squared_norms, weight.detach().square().sum().expand(6))
    torch.testing.assert_close(logits.detach()[:, 0], (x * weight.detach()).sum((1, 2, 3)))
    (gradient,) = torch.autograd.grad(squared_norms.mean(), weight)
    torch.testing.assert_close(gradient, 2 * weight.detach())


def test_length_one_penalty_of_a_linear_critic() -> None:
    weight = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    norm = weight.detach().norm()
    penalty = length_one_penalty(linear(weight), images(1, 4), images(2, 4), mix())
    torch.testing.assert_close(penalty, (norm - 1).square().expand(6))
    (gradient,) = torch.autograd.grad(penalty.mean(), weight)
    torch.testing.assert_close(gradient, 2 * (norm - 1) * weight.detach() / norm)


def test_length_one_penalty_rests_at_a_slope_of_one() -> None:
    weight = torch.full((1, 3, 4, 4), 48**-0.5, requires_grad=True)
    penalty = length_one_penalty(linear(weight), images(1, 4), images(2, 4), mix())
    torch.testing.assert_close(penalty, torch.zeros(6), atol=1e-12, rtol=0)


def test_zero_centred_penalty_equals_double_backward(net: nn.Module) -> None:
    scales = images(1, 8)
    _, squared_norms = zero_centred_penalty(net, scales)
    expected = squared_norms_by_autograd(net, scales)
    torch.testing.assert_close(squared_norms, expected)
    assert_same_gradients(squared_norms.sum(), expected.sum(), net)


def test_length_one_penalty_equals_double_backward(net: nn.Module) -> None:
    (real,), (fake,) = reals, fakes = images(1, 8), images(2, 8)
    penalty = length_one_penalty(net, reals, fakes, mix())
    expected = (squared_norms_by_autograd(net, (mix() * real + (1 - mix()) * fake,)).sqrt() - 1).square()
    torch.testing.assert_close(penalty, expected)
    assert_same_gradients(penalty.sum(), expected.sum(), net)


def test_norms_are_summed_over_the_scales() -> None:
    torch.manual_seed(0)
    critic, scales, others = TwoScales(), images(1, 4, 8), images(2, 4, 8)
    logits, squared_norms = zero_centred_penalty(critic, scales)
    torch.testing.assert_close(logits, critic(*scales))
    expected = squared_norms_by_autograd(critic, scales)
    torch.testing.assert_close(squared_norms, expected)
    assert_same_gradients(squared_norms.sum(), expected.sum(), critic)

    penalty = length_one_penalty(critic, scales, others, mix(1.0))
    expected = (squared_norms_by_autograd(critic, scales).sqrt() - 1).square()
    torch.testing.assert_close(penalty, expected)
    assert_same_gradients(penalty.sum(), expected.sum(), critic)


@pytest.mark.parametrize("value", [1.0, 0.0, 0.25])
def test_mix_is_the_share_of_the_real(value: float) -> None:
    (real,), (fake,) = reals, fakes = images(1, 8), images(2, 8)
    # The gradient of half a squared length is the place itself.
    penalty = length_one_penalty(lambda x: 0.5 * x.square().sum((1, 2, 3))[:, None], reals, fakes, mix(value))
    between = value * real + (1 - value) * fake
    torch.testing.assert_close(penalty, (between.flatten(1).norm(dim=1) - 1).square())


def test_a_flat_critic_has_a_finite_gradient(net: nn.Module) -> None:
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    penalty = length_one_penalty(net, images(1, 8), images(2, 8), mix())
    torch.testing.assert_close(penalty, torch.ones(6))
    for gradient in torch.autograd.grad(penalty.sum(), list(net.parameters()), allow_unused=True):
        assert gradient is None or gradient.isfinite().all()


def test_each_image_is_penalised_alone(net: nn.Module) -> None:
    reals, fakes = images(1, 8), images(2, 8)
    whole = length_one_penalty(net, reals, fakes, mix())
    part = length_one_penalty(net, (reals[0][:2],), (fakes[0][:2],), mix()[:2])
    torch.testing.assert_close(whole[:2], part)


def test_penalty_is_taken_through_the_augmentation(net: nn.Module) -> None:
    kinds = ("shift", "zoom", "brightness", "colour", "cutout")
    drawn = augment.draw(6, 8, 0.8, kinds, torch.Generator().manual_seed(0), torch.device("cpu"))

    def critic(x: Tensor) -> Tensor:
        logits: Tensor = net(augment.apply(x, drawn))
        return logits

    _, squared_norms = zero_centred_penalty(critic, images(1, 8))
    expected = squared_norms_by_autograd(critic, images(1, 8))
    torch.testing.assert_close(squared_norms, expected)
    assert_same_gradients(squared_norms.sum(), expected.sum(), net)
    assert not torch.allclose(squared_norms, zero_centred_penalty(net, images(1, 8))[1], rtol=0.01)


def test_a_spectral_norm_stands_both_penalties(net: nn.Module) -> None:
    torch.nn.utils.parametrizations.spectral_norm(net[0])
    net.eval()  # its power iteration moves at every look in training, so no two of them would agree
    _, squared_norms = zero_centred_penalty(net, images(1, 8))
    assert_same_gradients(squared_norms.sum(), squared_norms_by_autograd(net, images(1, 8)).sum(), net)
    net.train()
    penalty = length_one_penalty(net, images(1, 8), images(2, 8), mix())
    for gradient in torch.autograd.grad(penalty.sum(), list(net.parameters())[:-1], allow_unused=True):
        assert gradient is None or gradient.isfinite().all()


@pytest.mark.slow
def test_compiled_length_one_penalty_has_eager_gradients(net: nn.Module) -> None:
    def loss(reals: Scales, fakes: Scales, share: Tensor) -> Tensor:
        return length_one_penalty(net, reals, fakes, share).mean()

    reals, fakes = images(1, 8), images(2, 8)
    compiled: Callable[..., Tensor] = torch.compile(loss, fullgraph=True)
    mine, theirs = compiled(reals, fakes, mix()), loss(reals, fakes, mix())
    torch.testing.assert_close(mine, theirs)
    assert_same_gradients(mine, theirs, net)
