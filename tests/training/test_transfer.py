"""Starting from other networks: copies are exact, growing keeps the function, what does not fit is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genface.errors import UserError
from trainface.config import Config
from trainface.game.penalties import zero_centred_penalty
from trainface.networks import build_discriminator, build_generator, generate_scales, reals_at_scales, set_progress
from trainface.networks.resample import downsample, upsample
from trainface.presets import preset
from trainface.transfer import start_from

# Widths upwards from 4 px; normfree has no stage of full size.
WIDTHS = {"normfree": [24, 20, 16, 12], "r3": [24, 20, 20, 12, 8], "pyramid": [24, 20, 16, 12, 8]}
KINDS = ["normfree", "r3", "msg", "progressive"]


def config_of(kind: str, size: int) -> Config:
    architecture = {"msg": "pyramid", "progressive": "pyramid"}.get(kind, kind)
    stages = size.bit_length() - 2 - (architecture == "normfree")
    widths = WIDTHS[architecture][:stages]
    settings = {
        "architecture": architecture,
        "size": str(size),
        "g_widths": ",".join(map(str, widths)),
        "d_widths": ",".join(map(str, widths[::-1])),
        "blocks": "2" if kind == "r3" else "1",
        "regime": kind if architecture == "pyramid" else "msg",
    }
    return preset("tiny").with_settings(settings)


def build(config: Config, seed: int = 0) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(seed)
    return build_generator(config), build_discriminator(config)


def trained(config: Config, seed: int = 1) -> tuple[nn.Module, nn.Module, dict[str, Any]]:
    """A pair whose every weight is alive, as training leaves it, and the state of its checkpoint."""
    G, D = build(config, seed)
    with torch.no_grad():
        for network in (G, D):
            for parameter in network.parameters():
                parameter.add_(0.1 * parameter.std(correction=0) + 0.02 * torch.randn_like(parameter))
    state = {
        "config": config.to_dict(),
        "cur_nimg": round(config.kimg * 1000),
        "ema": {"5": {}, "20": copy.deepcopy(G.state_dict())},
        "best_ema": "20",
        "D": copy.deepcopy(D.state_dict()),
    }
    return G, D, state


@pytest.mark.parametrize("kind", [*KINDS, "dcgan"])
def test_equal_networks_are_copied(kind: str) -> None:
    config = preset("tiny-dcgan") if kind == "dcgan" else config_of(kind, 16)
    old_g, old_d, state = trained(config)
    G, D = build(config.with_settings({"g_lr": "1e-5"}))
    line = start_from(config, state, G, D)
    assert "16 px" in line
    assert "copied" in line
    for mine, theirs in ((G, old_g), (D, old_d)):
        for name, tensor in theirs.state_dict().items():
            assert torch.equal(mine.state_dict()[name], tensor), name


def interior(x: Tensor, border: int) -> Tensor:
    return x[..., border:-border, border:-border] if border else x


@pytest.mark.parametrize("doublings", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_growing_keeps_the_function(kind: str, doublings: int) -> None:
    size = 16 << doublings
    old_config, config = config_of(kind, 16), config_of(kind, size)
    old_g, old_d, state = trained(old_config)
    G, D = build(config)
    line = start_from(config, state, G, D)
    assert f"{old_config.size} px" in line
    assert f"{size} px" in line

    z = torch.randn(4, 8)
    drawn = old_g(z)
    for _ in range(doublings):
        drawn = upsample(drawn)
    # Zero padding in the place of a held border: one pixel at the first doubling, which the second spreads to three.
    border = 0 if kind == "r3" else 2**doublings - 1
    # fp32 sums in another order.
    torch.testing.assert_close(interior(G(z), border), interior(drawn, border), rtol=0, atol=1e-5)
    assert drawn.std() > 0.1

    reals = torch.randn(4, 3, size, size)
    if kind in ("normfree", "progressive"):
        # Gray at the border, where zero padding and a held border are the same.
        reals = nn.functional.pad(interior(reals, 4 * doublings), (4 * doublings,) * 4)
    small = reals
    for _ in range(doublings):
        small = downsample(small)
    judged = D(*reals_at_scales(D, reals))
    torch.testing.assert_close(judged, old_d(*reals_at_scales(old_d, small)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_grown_can_learn(kind: str) -> None:
    """After one step all of the new stage moves: nothing stays at zero for good."""
    _, _, state = trained(config_of(kind, 16))
    config = config_of(kind, 32)
    G, D = build(config)
    start_from(config, state, G, D)
    optimizers = [torch.optim.SGD(network.parameters(), lr=1e-3) for network in (G, D)]
    for _ in range(4):
        reals = reals_at_scales(D, torch.randn(8, 3, 32, 32))
        logits, squared_norms = zero_centred_penalty(lambda *images: D(*images), reals)
        loss = squared_norms.mean() + logits.square().mean() + D(*generate_scales(G, torch.randn(8, 8))).square().mean()
        assert torch.isfinite(loss)
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
    for network in (G, D):
        for name, parameter in network.named_parameters():
            if kind == "progressive" and name.split(".")[0] in ("to_rgb", "from_rgb") and name.split(".")[1] != "3":
                continue  # faded out
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


def test_a_small_networks_half_of_a_fade_keeps_the_function_too() -> None:
    old_g, _, state = trained(config_of("progressive", 16))
    config = config_of("progressive", 32)
    G, D = build(config)
    start_from(config, state, G, D)
    set_progress(G, 0.45)
    assert 0 < G.fade.item() < 1  # type: ignore[union-attr, operator]
    z = torch.randn(4, 8)
    torch.testing.assert_close(interior(G(z), 1), interior(upsample(old_g(z)), 1), rtol=0, atol=1e-5)


def test_the_default_grows_to_its_larger_presets() -> None:
    """s64 to m128 and to 256 px: the widths of the table fit each other."""
    torch.manual_seed(0)
    old = preset("s64")
    old_g, old_d = build_generator(old), build_discriminator(old)
    state = {"config": old.to_dict(), "cur_nimg": 0, "ema": {"5": old_g.state_dict()}, "best_ema": "5"}
    state["D"] = old_d.state_dict()
    m128 = preset("m128")
    m256 = m128.with_settings(
        {"size": "256", "g_widths": "256,256,128,64,32,16", "d_widths": "16,32,64,128,256,256", "gamma": "160:16"}
    )
    z = torch.randn(2, old.z_dim)
    expected = old_g(z)
    for config in (m128, m256):
        G, D = build(config)
        start_from(config, state, G, D)
        expected = upsample(expected)
        torch.testing.assert_close(interior(G(z), 3), interior(expected, 3), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (config_of("normfree", 16), config_of("r3", 16), "architecture=normfree, this run r3"),
        (config_of("normfree", 32), config_of("normfree", 16), "size=32, this run 16: networks only grow"),
        (config_of("r3", 16), config_of("r3", 16).with_settings({"blocks": "1"}), "blocks=2, this run 1"),
        (config_of("msg", 16), config_of("progressive", 16), "regime=msg, this run progressive"),
        (config_of("msg", 16), config_of("msg", 16).with_settings({"z_dim": "9"}), "z_dim=8, this run 9"),
        (
            preset("tiny-dcgan"),
            preset("tiny-dcgan").with_settings({"d_norm": "instance"}),
            "d_norm=batch, this run instance: give this one d_norm=batch",
        ),
        (
            preset("tiny-dcgan"),
            preset("tiny-dcgan").with_settings({"size": "32"}),
            "dcgan cannot grow; give this one size=16, or take normfree or r3 or pyramid",
        ),
        (
            config_of("normfree", 16),
            config_of("normfree", 32).with_settings({"g_widths": "24,16,16"}),
            "g_widths=24,20, this run 24,16,16",
        ),
        (
            config_of("normfree", 16),
            config_of("normfree", 32).with_settings({"d_widths": "16,20,20"}),
            "d_widths=20,24, this run 16,20,20: the latter must end with",
        ),
        (
            config_of("normfree", 16),
            config_of("normfree", 32).with_settings({"g_widths": "24,20,5"}),
            "g_widths=24,20,5: a new stage carries the old picture through 6 channels",
        ),
    ],
)
def test_misfits_are_refused_with_what_differs(old: Config, new: Config, message: str) -> None:
    _, _, state = trained(old)
    with pytest.raises(UserError, match=message):
        start_from(new, state, *build(new))


def test_half_grown_networks_do_not_grow_further() -> None:
    config = config_of("progressive", 16)
    _, _, state = trained(config)
    state["cur_nimg"] = 100
    larger = config_of("progressive", 32)
    with pytest.raises(UserError, match="has not grown to its own 16 px yet"):
        start_from(larger, state, *build(larger))
    assert "grows anew" in start_from(config, state, *build(config))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda state: state.pop("D"), "lacks or garbles 'D'"),
        (lambda state: state.update(best_ema="7"), "lacks or garbles '7'"),
        (lambda state: state["config"].pop("loss"), "another version"),
        (lambda state: state["ema"]["20"].popitem(), "do not fit its configuration"),
        (lambda state: state.update(D=3), "do not fit its configuration"),
    ],
)
def test_damaged_states_are_refused(damage: Any, message: str) -> None:
    config = config_of("normfree", 16)
    _, _, state = trained(config)
    damage(state)
    with pytest.raises(UserError, match=message):
        start_from(config, state, *build(config))
