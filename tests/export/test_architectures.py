"""Every architecture, and every trick that changes a generator: the exported forms draw what PyTorch draws.

Generators are built here rather than trained, and enlivened: what a graph must hold does not depend on the weights.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx
import pytest
import torch
from torch import nn

from exportface.deployable import Deployable, WithFloats
from exportface.forms import eager_form, one_thread, onnx_form, torchscript_form
from exportface.parity import MIN_STD, measure
from exportface.to_onnx import to_onnx
from exportface.to_torchscript import to_torchscript
from trainface.config import Config
from trainface.layers import GaussianNoise, set_noise
from trainface.networks import build_generator, set_progress
from trainface.presets import preset

PLAN = {1: 8, 3: 4, 16: 2}
# What each form of generator may need beside start and quantising; all else in its graph would be waste.
START = {"Gemm", "MatMul", "Unsqueeze", "Reshape", "Mul"}
TAIL = ["Mul", "Add", "Round", "Clip", "Transpose", "Cast"]


def pyramid(regime: str) -> Config:
    widths = {"g_widths": "24,20,16,12", "d_widths": "12,16,20,24"}
    return preset("tiny").with_settings(widths | {"architecture": "pyramid", "size": "32", "regime": regime})


def r3() -> Config:
    widths = {"g_widths": "128,64,24", "d_widths": "24,64,128"}
    return preset("tiny").with_settings(widths | {"architecture": "r3", "blocks": "2"})


# Name: configuration, progress of the schedule, operators, convolutions in the graph.
CASES: Mapping[str, tuple[Config, float, set[str], int]] = {
    "r3": (r3(), 1.0, {"Conv", "LeakyRelu", "Add", "Resize"}, 3 * 2 * 3 + 2 + 1),
    "dcgan with noise layers": (
        preset("tiny-dcgan").with_settings({"g_noise": "0.1:0"}),
        0.0,
        {"ConvTranspose", "Relu", "Tanh"},
        3,
    ),
    "msg": (pyramid("msg"), 0.3, {"Conv", "ConvTranspose", "LeakyRelu"}, 4),
    "progressive, grown": (pyramid("progressive"), 1.0, {"Conv", "ConvTranspose", "LeakyRelu"}, 4),
    # Four scales in half of the schedule: 16 px fade in from 2/7 to 5/14.
    "progressive, fading": (pyramid("progressive"), 0.32, {"Conv", "ConvTranspose", "LeakyRelu", "Add", "Resize"}, 4),
    "progressive, settled": (pyramid("progressive"), 0.4, {"Conv", "ConvTranspose", "LeakyRelu", "Resize"}, 3),
    "progressive, at 4 px": (pyramid("progressive"), 0.0, {"Conv", "Resize"}, 1),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[Config, nn.Module, set[str], int]:
    config, at, operators, convolutions = CASES[request.param]
    torch.manual_seed(0)
    generator = build_generator(config).eval().requires_grad_(False)
    set_progress(generator, at)
    set_noise(generator, 0.5)
    enliven(generator, config)
    return config, generator, operators, convolutions


@torch.no_grad()
def enliven(generator: nn.Module, config: Config) -> None:
    """Give every tensor a say and the pictures contrast."""
    for module in generator.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0.0, 0.1)
            module.running_var.uniform_(0.5, 2.0)
        if isinstance(getattr(module, "bias", None), torch.Tensor):
            module.bias.normal_(0.0, 0.1)
    for name, parameter in generator.named_parameters():
        if not parameter.any():
            nn.init.normal_(parameter, 0.0, 0.05)
        if "rgb" in name and "weight" in name:
            parameter.mul_(2.0)
    if config.architecture == "dcgan":
        last = [module for module in generator.modules() if isinstance(module, nn.ConvTranspose2d)][-1]
        last.weight.mul_(20.0)


def test_every_form_draws_what_pytorch_draws(case: tuple[Config, nn.Module, set[str], int]) -> None:
    config, generator, _, _ = case
    deployable = Deployable(generator)
    model = to_onnx(deployable, config.z_dim)
    scripts = [to_torchscript(module, config.z_dim) for module in (deployable, WithFloats(deployable))]
    forms = {"ONNX Runtime": onnx_form(model), "TorchScript": torchscript_form(*scripts)}
    with one_thread():
        parity = measure(eager_form(generator), forms, config.z_dim, plan=PLAN)
    assert parity.failures == []
    assert parity.output_std >= MIN_STD, "flat pictures prove nothing"
    shape = [side.dim_value for side in model.graph.output[0].type.tensor_type.shape.dim]
    assert shape[1:] == [config.size, config.size, 3]


def test_graph_holds_what_draws_and_nothing_else(case: tuple[Config, nn.Module, set[str], int]) -> None:
    config, generator, operators, convolutions = case
    model = to_onnx(Deployable(generator), config.z_dim)
    nodes = [node.op_type for node in model.graph.node]
    assert nodes[-6:] == TAIL
    assert set(nodes[:-6]) - START == operators - START
    assert sum(node in ("Conv", "ConvTranspose") for node in nodes) == convolutions
    assert [output.name for output in model.graph.output] == ["images"]
    # Weights of scales that are not drawn are not shipped.
    used = {name for node in model.graph.node for name in node.input}
    assert {tensor.name for tensor in model.graph.initializer} <= used


def test_folding_goes_round_noise_layers() -> None:
    """Noise stands before the convolution, so that BatchNorm still follows it directly, and leaves no trace."""
    torch.manual_seed(0)
    config = preset("tiny-dcgan").with_settings({"g_noise": "0.1"})
    generator = build_generator(config).eval()
    enliven(generator, config)
    set_noise(generator, 0.5)
    assert any(isinstance(module, GaussianNoise) for module in generator.modules())
    z = torch.randn(4, config.z_dim)
    deployable = Deployable(generator)
    # fp32 sums in another order.
    torch.testing.assert_close(deployable.generator(z), generator(z), rtol=0, atol=1e-5)
    text = onnx.printer.to_text(to_onnx(deployable, config.z_dim)).lower()
    assert not [trace for trace in ("random", "noise", "batchnorm", "std") if trace in text]
