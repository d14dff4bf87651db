"""Losses against their formulas."""

import math

import pytest
import torch
from torch import Tensor, nn

from trainface.game.label_tricks import Labels
from trainface.game.losses import LOSSES, pair_accuracy

REAL, FAKE = torch.tensor([[2.0], [-1.0]]), torch.tensor([[0.5], [1.0]])
LABELLED = [name for name, loss in LOSSES.items() if loss.labelled]


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def labels(real: float, fake: float, swapped: tuple[float, float] = (1.0, 1.0)) -> Labels:
    return Labels(real=torch.full((2, 1), real), fake=torch.full((2, 1), fake), swapped=torch.tensor([swapped]).T)


def gradient(name: str, logits: Tensor, swapped: float) -> Tensor:
    """What G's loss says about its logits, the number of images times over."""
    logits = logits.clone().requires_grad_(True)
    given = Labels(real=logits, fake=logits, swapped=torch.full_like(logits, swapped))
    (found,) = torch.autograd.grad(LOSSES[name].generator(logits, logits, given) * len(logits), logits)
    return found


def test_relativistic_pairs_each_real_with_its_fake() -> None:
    expected_d = (softplus(-(2.0 - 0.5)) + softplus(-(-1.0 - 1.0))) / 2
    expected_g = (softplus(-(0.5 - 2.0)) + softplus(-(1.0 + 1.0))) / 2
    loss = LOSSES["relativistic"]
    assert loss.discriminator(REAL, FAKE, None).item() == pytest.approx(expected_d, rel=1e-6)
    assert loss.generator(FAKE, REAL, None).item() == pytest.approx(expected_g, rel=1e-6)


@pytest.mark.parametrize("name", ["relativistic", "wgan"])
def test_losses_of_differences_do_not_see_the_level_of_the_logits(name: str) -> None:
    loss = LOSSES[name]
    torch.testing.assert_close(loss.discriminator(REAL + 7, FAKE + 7, None), loss.discriminator(REAL, FAKE, None))


def test_bce_matches_torch() -> None:
    bce, loss = nn.BCEWithLogitsLoss(), LOSSES["bce"]
    expected = bce(REAL, torch.ones(2, 1)) + bce(FAKE, torch.zeros(2, 1))
    torch.testing.assert_close(loss.discriminator(REAL, FAKE, None), expected)
    torch.testing.assert_close(loss.generator(FAKE, REAL, None), bce(FAKE, torch.ones(2, 1)))


@pytest.mark.parametrize(
    ("name", "d_loss", "g_loss"),
    [
        ("lsgan", (1 + 4) / 2 + (0.25 + 1) / 2, (0.25 + 0) / 2),
        ("hinge", (0 + 2) / 2 + (1.5 + 2) / 2, -(0.5 + 1) / 2),
        ("wgan", 0.75 - 0.5, -0.75),
    ],
)
def test_hard_labels_by_hand(name: str, d_loss: float, g_loss: float) -> None:
    loss = LOSSES[name]
    assert loss.discriminator(REAL, FAKE, None).item() == pytest.approx(d_loss)
    assert loss.generator(FAKE, REAL, None).item() == pytest.approx(g_loss)


@pytest.mark.parametrize(
    ("name", "d_loss"),
    [
        # Labels 0.9 and 0.2: softplus(x) - y x, (x - y)^2, max(0, 1 - 0.8 x) and max(0, 1 + 0.6 x).
        ("bce", (softplus(2) - 1.8 + softplus(-1) + 0.9) / 2 + (softplus(0.5) - 0.1 + softplus(1) - 0.2) / 2),
        ("lsgan", (1.1**2 + 1.9**2) / 2 + (0.3**2 + 0.8**2) / 2),
        ("hinge", (0 + 1.8) / 2 + (1.3 + 1.6) / 2),
    ],
)
def test_soft_labels_by_hand(name: str, d_loss: float) -> None:
    assert LOSSES[name].discriminator(REAL, FAKE, labels(0.9, 0.2)).item() == pytest.approx(d_loss)


@pytest.mark.parametrize("name", LABELLED)
def test_hard_labels_written_out_change_nothing(name: str) -> None:
    loss, hard = LOSSES[name], labels(1.0, 0.0)
    torch.testing.assert_close(loss.discriminator(REAL, FAKE, hard), loss.discriminator(REAL, FAKE, None))
    torch.testing.assert_close(loss.generator(FAKE, REAL, hard), loss.generator(FAKE, REAL, None))


@pytest.mark.parametrize("name", LABELLED)
def test_flipped_labels_are_the_game_with_the_sides_exchanged(name: str) -> None:
    loss = LOSSES[name]
    torch.testing.assert_close(loss.discriminator(REAL, FAKE, labels(0.0, 1.0)), loss.discriminator(FAKE, REAL, None))


@pytest.mark.parametrize("name", LABELLED)
def test_images_that_keep_their_label_play_minimax(name: str) -> None:
    # d/dx of G's loss is minus that of D's loss on the fakes.
    logits = torch.tensor([[-0.5], [0.3], [2.0]])
    of_d = logits.clone().requires_grad_(True)
    (of_d_gradient,) = torch.autograd.grad(LOSSES[name].discriminator(logits, of_d, None) * 3, of_d)
    torch.testing.assert_close(gradient(name, logits, swapped=0.0), -of_d_gradient)


@pytest.mark.parametrize("name", LABELLED)
def test_each_image_follows_its_own_swap(name: str) -> None:
    loss = LOSSES[name]
    mixed = loss.generator(FAKE, REAL, labels(1.0, 0.0, swapped=(1.0, 0.0)))
    apart = (
        loss.generator(FAKE[:1], FAKE[:1], None),
        loss.generator(FAKE[1:], FAKE[1:], Labels(real=REAL[1:], fake=FAKE[1:], swapped=torch.zeros(1, 1))),
    )
    torch.testing.assert_close(mixed, (apart[0] + apart[1]) / 2)


def test_swapped_bce_still_learns_where_minimax_has_saturated() -> None:
    lost = torch.tensor([[-10.0]])  # D is sure
    assert gradient("bce", lost, swapped=1.0).item() == pytest.approx(-1, abs=1e-4)
    assert abs(gradient("bce", lost, swapped=0.0).item()) < 1e-4


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_pulls_the_two_sides_apart(name: str) -> None:
    loss = LOSSES[name]
    # Half way between the labels 0 and 1, where each of them pulls.
    real, fake = torch.full((4, 1), 0.5, requires_grad=True), torch.full((4, 1), 0.5, requires_grad=True)
    loss.discriminator(real, fake, None).backward()
    assert real.grad is not None
    assert fake.grad is not None
    assert (real.grad < 0).all()  # descending raises real logits
    assert (fake.grad > 0).all()
    fake.grad = None
    loss.generator(fake, real.detach(), None).backward()
    assert (fake.grad < 0).all()


@pytest.mark.parametrize("name", sorted(set(LOSSES) - set(LABELLED)))
def test_a_loss_without_labels_takes_none(name: str) -> None:
    with pytest.raises(AssertionError, match="no labels"):
        LOSSES[name].discriminator(REAL, FAKE, labels(1.0, 0.0))
    with pytest.raises(AssertionError, match="no labels"):
        LOSSES[name].generator(FAKE, REAL, labels(1.0, 0.0))


@pytest.mark.parametrize("name", LOSSES)
def test_only_a_loss_that_says_so_reads_the_real_logits_for_g(name: str) -> None:
    loss = LOSSES[name]
    changes = not torch.equal(loss.generator(FAKE, REAL, None), loss.generator(FAKE, REAL + 1, None))
    assert changes == loss.needs_real_logits


def test_pair_accuracy() -> None:
    assert pair_accuracy(REAL, FAKE).item() == 0.5
