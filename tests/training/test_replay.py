"""The replay buffer: what it keeps, what it gives back, and that it can be stored."""

import pytest
import torch
from torch import Tensor

from trainface.game.replay import Replay

CPU = torch.device("cpu")


def numbered(first: int, num: int) -> Tensor:
    """Images [num, 3, 2, 2] that are all one number; float16 holds whole numbers up to 2,048."""
    return torch.arange(first, first + num, dtype=torch.float32).view(num, 1, 1, 1).expand(num, 3, 2, 2).contiguous()


def values(images: Tensor) -> Tensor:
    assert torch.equal(images, images[:, :1, :1, :1].expand_as(images)), "an image was torn"
    return images[:, 0, 0, 0]


def test_fills_first_and_gives_the_first_batch_back() -> None:
    replay, rng = Replay(10, CPU), torch.Generator().manual_seed(0)
    first = numbered(0, 4)
    assert torch.equal(replay.mix(first, 1.0, rng), first)
    replay.mix(numbered(4, 4), 1.0, rng)
    replay.mix(numbered(8, 4), 1.0, rng)
    assert len(replay) == 10
    assert values(replay.state_dict()["images"]).tolist() == list(range(10))


def test_what_comes_back_was_generated_before() -> None:
    replay, rng = Replay(8, CPU), torch.Generator().manual_seed(0)
    for step in range(20):
        mixed = values(replay.mix(numbered(8 * step, 8), 0.5, rng))
        own = mixed == values(numbered(8 * step, 8))
        assert (mixed[~own] < 8 * step).all()


@pytest.mark.parametrize(("share", "tolerance"), [(0.0, 0.0), (0.25, 0.02), (1.0, 0.0)])
def test_the_share_is_that_of_replaced_images(share: float, tolerance: float) -> None:
    replay, rng = Replay(64, CPU), torch.Generator().manual_seed(0)
    old, new = numbered(0, 64), numbered(1000, 64)
    replay.mix(old, share, rng)
    replaced = []
    for _ in range(128):
        before = {"images": replay.state_dict()["images"].clone()}
        replaced.append((values(replay.mix(new, share, rng)) < 1000).to(torch.float64))
        replay.load_state_dict(before)
    # 8,192 images: four standard errors of a quarter are 0.019.
    assert torch.cat(replaced).mean().item() == pytest.approx(share, abs=tolerance)


def test_a_full_buffer_takes_every_image_in_at_random_places() -> None:
    replay, rng = Replay(16, CPU), torch.Generator().manual_seed(0)
    replay.mix(numbered(0, 16), 0.0, rng)
    replay.mix(numbered(100, 4), 0.0, rng)
    kept = values(replay.state_dict()["images"])
    assert sorted(kept[kept >= 100].tolist()) == [100, 101, 102, 103]  # no place was taken twice
    assert len(kept) == 16
    places = torch.nonzero(kept >= 100)[:, 0]
    assert places.tolist() != [0, 1, 2, 3]


def test_images_stay_for_a_geometric_time() -> None:
    # Each step of 4 replaces a quarter of 16: after k steps 0.75^k of the first are left.
    left = []
    for seed in range(200):
        replay, rng = Replay(16, CPU), torch.Generator().manual_seed(seed)
        replay.mix(numbered(0, 16), 0.0, rng)
        for step in range(3):
            replay.mix(numbered(100 + 4 * step, 4), 0.0, rng)
        left.append((values(replay.state_dict()["images"]) < 100).to(torch.float64).mean())
    # Deviation of one buffer's share below 0.1, so four standard errors of 200 are below 0.03.
    assert torch.stack(left).mean().item() == pytest.approx(0.75**3, abs=0.03)


def test_a_batch_larger_than_the_buffer() -> None:
    replay, rng = Replay(4, CPU), torch.Generator().manual_seed(0)
    for step in range(3):
        mixed = replay.mix(numbered(10 * step, 6), 0.5, rng)
        assert mixed.shape == (6, 3, 2, 2)
    assert len(replay) == 4
    assert sorted(values(replay.state_dict()["images"]).tolist()) == [20, 21, 22, 23]


def test_half_precision_moves_a_pixel_by_a_sixteenth_of_a_level() -> None:
    replay, rng = Replay(64, CPU), torch.Generator().manual_seed(0)
    images = torch.rand(64, 3, 8, 8, generator=rng) * 2 - 1
    replay.mix(images, 1.0, rng)
    stored = replay.state_dict()["images"]
    assert stored.dtype == torch.float16
    assert ((stored.float() - images).abs() * 127.5).max().item() < 1 / 16


def test_keeps_layout_and_dtype_and_lets_no_gradient_through() -> None:
    replay, rng = Replay(8, CPU), torch.Generator().manual_seed(0)
    images = torch.randn(4, 3, 8, 8).contiguous(memory_format=torch.channels_last).requires_grad_(True)
    for _ in range(4):
        mixed = replay.mix(images, 0.5, rng)
        assert mixed.is_contiguous(memory_format=torch.channels_last)
        assert mixed.dtype == torch.float32
        assert not mixed.requires_grad


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_a_stored_buffer_goes_on_bit_for_bit(steps: int) -> None:
    replay, rng = Replay(10, CPU), torch.Generator().manual_seed(0)
    images = torch.Generator().manual_seed(1)
    for _ in range(steps):
        replay.mix(torch.randn(4, 3, 4, 4, generator=images), 0.5, rng)
    resumed, resumed_rng = Replay(10, CPU), torch.Generator()
    resumed.load_state_dict(replay.state_dict())
    resumed_rng.set_state(rng.get_state())
    for _ in range(4):
        batch = torch.randn(4, 3, 4, 4, generator=images)
        assert torch.equal(replay.mix(batch, 0.5, rng), resumed.mix(batch, 0.5, resumed_rng))
    assert torch.equal(replay.state_dict()["images"], resumed.state_dict()["images"])


def test_a_buffer_of_another_size_is_not_taken() -> None:
    replay = Replay(8, CPU)
    replay.mix(numbered(0, 8), 0.0, torch.Generator().manual_seed(0))
    with pytest.raises(AssertionError, match="another configuration"):
        Replay(4, CPU).load_state_dict(replay.state_dict())
