"""The pyramid's two regimes: which scales are made and read, how one fades into the next, what learns when."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from trainface.config import Config
from trainface.game.penalties import zero_centred_penalty
from trainface.networks import build_discriminator, build_generator, generate_scales, reals_at_scales, set_progress
from trainface.networks.pyramid import growth
from trainface.networks.resample import downsample, upsample
from trainface.presets import preset


def tiny(regime: str, size: int = 32) -> Config:
    widths = ",".join(["16"] * (size.bit_length() - 2))
    settings = {"architecture": "pyramid", "size": str(size), "g_widths": widths, "d_widths": widths}
    return preset("tiny").with_settings({**settings, "regime": regime, "grow_over": "0.7"})


def pair(config: Config) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return build_generator(config), build_discriminator(config)


# Four scales share 0.7 of the schedule as 1 : 1 : 1 : 1/2, so a stage takes 0.2 of it.
GROWN = {
    0.0: (4, 1.0),
    0.19: (4, 1.0),
    0.25: (8, 0.5),
    0.35: (8, 1.0),
    0.45: (16, 0.5),
    0.65: (32, 0.5),
    0.7: (32, 1.0),
}


@pytest.mark.parametrize(("at", "expected"), GROWN.items())
def test_stage_and_fade_follow_the_schedule(at: float, expected: tuple[int, float]) -> None:
    scale, fade = growth(at / 0.7, 4)
    assert (4 << scale, fade) == (expected[0], pytest.approx(expected[1], abs=1e-6))
    G, D = pair(tiny("progressive"))
    reals = torch.rand(2, 3, 32, 32)
    for network in (G, D):
        set_progress(network, at)
        assert network.fade.item() == pytest.approx(expected[1], abs=1e-6)  # type: ignore[union-attr, operator]
    (fakes,) = generate_scales(G, torch.randn(2, 8))
    (seen,) = reals_at_scales(D, reals)
    assert fakes.shape == seen.shape == (2, 3, expected[0], expected[0])
    assert G.eval()(torch.randn(2, 8)).shape == (2, 3, 32, 32), "what is sampled and exported has the full size"
    assert D(fakes).shape == (2, 1)


def test_growth_ends_where_it_should_and_stays() -> None:
    assert growth(1.0, 5) == growth(3.0, 5) == (4, 1.0)
    assert growth(0.999, 5)[1] < 1
    shares = [growth(step / 1000, 5) for step in range(1001)]
    assert [stage for stage, _ in shares] == sorted(stage for stage, _ in shares)
    assert {stage for stage, _ in shares} == set(range(5))


def test_msg_makes_and_reads_every_scale() -> None:
    G, D = pair(tiny("msg"))
    z, reals = torch.randn(2, 8), torch.rand(2, 3, 32, 32)
    fakes, seen = generate_scales(G, z), reals_at_scales(D, reals)
    assert [images.shape[-1] for images in fakes] == [images.shape[-1] for images in seen] == [4, 8, 16, 32]
    assert torch.equal(fakes[-1], G(z))
    assert torch.equal(seen[-1], reals)
    assert torch.equal(seen[0], downsample(downsample(downsample(reals))))
    logits = D(*fakes)
    for scale in range(4):
        altered = [images + 0.5 * (index == scale) for index, images in enumerate(fakes)]
        assert (D(*altered) - logits).abs().min() > 1e-5, f"scale {scale} is read"


def test_msg_gradients_reach_every_part() -> None:
    G, D = pair(tiny("msg"))
    D(*generate_scales(G, torch.randn(2, 8))).sum().backward()
    for network in (G, D):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


def test_plain_networks_have_one_scale_and_no_progress() -> None:
    config = preset("tiny")
    G, D = pair(config)
    z, reals = torch.randn(2, 8), torch.rand(2, 3, 16, 16)
    before = copy.deepcopy(G.state_dict())
    set_progress(G, 0.0)
    (fakes,) = generate_scales(G, z)
    assert torch.equal(fakes, G(z))
    assert reals_at_scales(D, reals) == (reals,)
    assert all(torch.equal(tensor, before[name]) for name, tensor in G.state_dict().items())


def test_a_scale_fades_in_without_a_jump() -> None:
    """Right before a stage begins, and right after: the same function, up to the resampling of G's picture."""
    G, D = pair(tiny("progressive"))
    z, reals = torch.randn(2, 8), torch.rand(2, 3, 32, 32)
    for network in (G, D):
        set_progress(network, 0.4 - 1e-9)
    (before,), (seen_before,) = generate_scales(G, z), reals_at_scales(D, reals)
    judged_before = D(seen_before)
    for network in (G, D):
        set_progress(network, 0.4 + 1e-9)
    (after,), (seen_after,) = generate_scales(G, z), reals_at_scales(D, reals)
    # Fades of 1e-8: fp32 rounding is all that is left.
    torch.testing.assert_close(after, upsample(before), rtol=0, atol=1e-6)
    torch.testing.assert_close(seen_after, upsample(seen_before), rtol=0, atol=1e-6)
    finer = downsample(downsample(reals)), downsample(reals)
    torch.testing.assert_close(finer[0], seen_before)
    torch.testing.assert_close(D(finer[1]), judged_before, rtol=0, atol=1e-5)


@pytest.mark.parametrize("at", [0.3, 0.45, 0.65, 1.0])
def test_training_and_sampling_draw_the_same(at: float) -> None:
    """A settled stage leaves out the scale below when it samples; the picture must not tell."""
    G, _ = pair(tiny("progressive"))
    set_progress(G, at)
    z = torch.randn(3, 8)
    (trained,) = generate_scales(G, z)
    sampled = G.eval()(z)
    assert sampled.requires_grad
    torch.testing.assert_close(sampled, upsample(trained, 32 // trained.shape[-1]), rtol=0, atol=1e-6)


def test_later_stages_get_no_gradient_and_a_fresh_optimiser() -> None:
    G, D = pair(tiny("progressive"))
    optimizers = {
        network: torch.optim.Adam(network.parameters(), lr=1e-3, betas=(0.0, 0.9), fused=True) for network in (G, D)
    }

    def train(at: float, steps: int) -> None:
        for network in (G, D):
            set_progress(network, at)
        for _ in range(steps):
            D(*generate_scales(G, torch.randn(4, 8))).mean().backward()
            for optimizer in optimizers.values():
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)

    late = {
        G: ("ups.1.", "ups.2.", "to_rgb.2.", "to_rgb.3."),
        D: ("downs.1.", "downs.2.", "from_rgb.2.", "from_rgb.3."),
    }
    before = {network: copy.deepcopy(network.state_dict()) for network in (G, D)}
    train(0.25, steps=3)
    for network, optimizer in optimizers.items():
        for name, parameter in network.named_parameters():
            began = not name.startswith(late[network])
            assert (parameter in optimizer.state) == began, name
            assert torch.equal(parameter, before[network][name]) != began, name
    train(0.5, steps=2)
    steps = {name: optimizers[G].state[parameter]["step"] for name, parameter in G.named_parameters()
             if parameter in optimizers[G].state}  # fmt: skip
    assert (steps["ups.0.weight"], steps["ups.1.weight"], steps["to_rgb.2.bias"]) == (5, 2, 2)
    assert "ups.2.weight" not in steps


@pytest.mark.parametrize("regime", ["msg", "progressive"])
def test_penalty_goes_through_every_scale(regime: str) -> None:
    _, D = pair(tiny(regime))
    set_progress(D, 0.45)
    scales = reals_at_scales(D, torch.rand(3, 3, 32, 32))
    logits, squared_norms = zero_centred_penalty(lambda *images: D(*images), scales)
    torch.testing.assert_close(logits, D(*scales))
    leaves = [images.clone().requires_grad_() for images in scales]
    gradients = torch.autograd.grad(D(*leaves).sum(), leaves)
    expected = sum((gradient.square().sum((1, 2, 3)) for gradient in gradients), torch.zeros(3))
    torch.testing.assert_close(squared_norms, expected)
    squared_norms.mean().backward()
    assert D.downs[0].weight.grad.abs().max() > 0  # type: ignore[union-attr, index]


def test_bf16_gives_float32_to_the_loss() -> None:
    for regime in ("msg", "progressive"):
        G, D = pair(tiny(regime))
        with torch.autocast("cpu", torch.bfloat16):
            fakes = generate_scales(G, torch.randn(2, 8))
            assert D(*fakes).dtype == torch.float32
        assert {images.dtype for images in fakes} == {torch.float32}


def _reference_downsample(x: Tensor) -> Tensor:
    kernel = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    weight = (kernel[:, None] * kernel).expand(x.shape[1], 1, 4, 4)
    return nn.functional.conv2d(
        nn.functional.pad(x, (1, 1, 1, 1), mode="replicate"), weight, stride=2, groups=x.shape[1]
    )


def test_downsampling_is_the_antialiasing_kernel() -> None:
    x = torch.randn(2, 3, 8, 12)
    # Sums of 16 terms in another order.
    torch.testing.assert_close(downsample(x), _reference_downsample(x), rtol=0, atol=1e-6)
    torch.testing.assert_close(downsample(torch.ones(1, 1, 4, 4)), torch.ones(1, 1, 2, 2))


def test_upsampling_is_its_transpose_but_for_the_border() -> None:
    torch.manual_seed(0)
    small, large = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 16, 16)
    small[..., 2:-2, 2:-2], large[..., 3:-3, 3:-3] = torch.randn(4, 4), torch.randn(10, 10)
    # <up(s), l> = 4 <s, down(l)>: averaging four pixels undoes spreading over four.
    torch.testing.assert_close((upsample(small) * large).sum(), 4 * (small * downsample(large)).sum())
