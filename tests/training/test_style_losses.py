"""The style losses against numbers worked out by hand, and what must not change them."""

from __future__ import annotations

import pytest
import torch

from trainface.style.losses import (
    content_loss,
    gram,
    out_of_range,
    relative_error,
    style_loss,
    total_variation,
)

# Two features at three places.
MAPS = torch.tensor([[[[1.0, 2.0, 0.0]], [[0.0, 1.0, 3.0]]]])


def test_gram_by_hand() -> None:
    # (1 + 4 + 0) / 3, (0 + 2 + 0) / 3, (0 + 1 + 9) / 3
    expected = torch.tensor([[[5.0, 2.0], [2.0, 10.0]]]) / 3
    torch.testing.assert_close(gram(MAPS), expected)


def test_gram_does_not_know_where_a_feature_lies() -> None:
    maps = torch.randn(2, 5, 4, 6, generator=torch.Generator().manual_seed(0))
    shuffled = maps.flatten(2)[:, :, torch.randperm(24, generator=torch.Generator().manual_seed(1))].view_as(maps)
    # 1e-6: the sums of 24 float32 products are taken in another order.
    torch.testing.assert_close(gram(shuffled), gram(maps), atol=1e-6, rtol=1e-6)
    assert not torch.allclose(gram(maps[:, [1, 0, 2, 3, 4]]), gram(maps))


def test_gram_of_a_repeated_picture_is_that_of_the_picture() -> None:
    torch.testing.assert_close(gram(MAPS.repeat(1, 1, 2, 3)), gram(MAPS))


def test_relative_error_by_hand() -> None:
    values, targets = torch.tensor([[1.0, 2.0], [5.0, 0.0]]), torch.tensor([[3.0, 4.0]])
    # (4 + 4) / 25, (4 + 16) / 25
    torch.testing.assert_close(relative_error(values, targets), torch.tensor([0.32, 0.8]))


def test_nothing_is_one_away_and_a_zero_target_is_finite() -> None:
    assert relative_error(torch.zeros_like(MAPS), MAPS).item() == 1.0
    assert relative_error(torch.zeros_like(MAPS), torch.zeros_like(MAPS)).item() == 0.0
    assert torch.isfinite(relative_error(MAPS, torch.zeros_like(MAPS))).all()


def test_content_and_style_are_means_over_layers() -> None:
    zero, target = torch.zeros(1, 2, 2), torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    half = 0.5 * target
    # 1 for the first layer; (0.5^2 + 0.5^2) / 2 = 0.25 for the second
    assert style_loss([zero, half], [target, target]).tolist() == [0.625]
    assert content_loss([MAPS, MAPS], [MAPS, 2 * MAPS]).tolist() == [0.125]


@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_the_size_of_activations_does_not_matter(factor: float) -> None:
    other = MAPS.flip(3)
    torch.testing.assert_close(
        style_loss([gram(factor * other)], [gram(factor * MAPS)]), style_loss([gram(other)], [gram(MAPS)])
    )


def test_total_variation() -> None:
    assert total_variation(torch.full((1, 3, 5, 7), 0.3)).item() == 0.0
    # Rows differ by 2: 4 in the mean; columns by 1: 1 in the mean.
    picture = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
    assert total_variation(picture).item() == 5.0


def test_out_of_range_by_hand() -> None:
    # 0.5 beyond above and 1 beyond below, of four values
    assert out_of_range(torch.tensor([[[[1.5, -2.0, 1.0, -1.0]]]])).item() == pytest.approx((0.25 + 1) / 4)
