from __future__ import annotations

import copy
import runpy
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from exportface.deployable import Deployable, WithFloats
from exportface.forms import eager_form, one_thread, onnx_form, torchscript_form
from exportface.parity import PLAN, Form, Parity, measure
from exportface.to_onnx import to_onnx
from exportface.to_torchscript import to_torchscript
from genface.photos import Preparation
from trainface import cartoons, checkpoint
from trainface.config import Config
from trainface.data.dataset import FaceSet
from trainface.presets import preset
from trainface.trainer import Trainer

if TYPE_CHECKING:
    from exportface.mixer_export import ExportedMixer

STEPS = {"tiny": 3, "tiny-dcgan": 3, "s64": 0, "dcgan64": 0}
TARGET_STD = 0.4


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A generator and everything that is made of it."""

    config: Config
    generator: nn.Module
    deployable: Deployable
    model: onnx.ModelProto

    @property
    def reference(self) -> Form:
        return eager_form(self.generator)

    def parity(self, *forms: Form, plan: Mapping[int, int] = PLAN) -> Parity:
        named = {f"form {index}": form for index, form in enumerate(forms)}
        with one_thread():
            return measure(self.reference, named, self.config.z_dim, plan=plan)

    def torchscript(self, deployable: Deployable | None = None) -> Form:
        deployable = deployable or self.deployable
        modules = deployable, WithFloats(deployable)
        return torchscript_form(*(to_torchscript(module, self.config.z_dim) for module in modules))


@pytest.fixture(scope="session")
def train_state() -> Callable[[str], dict[str, Any]]:
    """What a short run of a preset leaves in its checkpoint, on a few drawn faces."""
    states: dict[str, dict[str, Any]] = {}

    def train(name: str) -> dict[str, Any]:
        if name not in states:
            config = replace(preset(name), precision="fp32", holdout=0.0)
            trainer = Trainer(config, _faces(config.batch, config.size), torch.device("cpu"))
            for _ in range(STEPS[name]):
                trainer.step()
            _enliven(trainer.bank.best, config)
            states[name] = trainer.state()
        return copy.deepcopy(states[name])

    return train


@pytest.fixture(scope="session")
def make_checkpoint(
    train_state: Callable[[str], dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Write a checkpoint of a preset; `change` may edit its state first."""

    def make(name: str = "tiny", change: Callable[[dict[str, Any]], object] = lambda state: None) -> Path:
        state = train_state(name)
        change(state)
        path = tmp_path_factory.mktemp(name) / "checkpoint.pt"
        checkpoint.save(state, path)
        return path

    return make


@pytest.fixture(scope="session")
def exported(make_checkpoint: Callable[..., Path]) -> Callable[[str], Exported]:
    """Export a preset's generator in memory, once."""
    from exportface.source import read_source

    made: dict[str, Exported] = {}

    def export(name: str) -> Exported:
        if name not in made:
            source = read_source(make_checkpoint(name))
            deployable = Deployable(source.generator)
            model = to_onnx(deployable, source.config.z_dim)
            made[name] = Exported(config=source.config, generator=source.generator, deployable=deployable, model=model)
        return made[name]

    return export


@pytest.fixture(scope="session")
def tiny_mixers() -> types.SimpleNamespace:
    """The names of tiny_mixers.py."""
    return types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("tiny_mixers.py"))))


@pytest.fixture(scope="session")
def mixer_embedder(tmp_path_factory: pytest.TempPathFactory, tiny_mixers: types.SimpleNamespace) -> Path:
    """The embedder that the tiny mixers of method `embedding` learned from."""
    path: Path = tiny_mixers.write_embedder(tmp_path_factory.mktemp("embedder") / "face.onnx")
    return path


@pytest.fixture(scope="session")
def exported_mixer(
    tmp_path_factory: pytest.TempPathFactory, tiny_mixers: types.SimpleNamespace, mixer_embedder: Path
) -> Callable[[str], tuple[Path, Path, ExportedMixer]]:
    """Checkpoint, folder and figures of every kind of mixer, each exported once."""
    from exportface.mixer_export import export_mixer

    made: dict[str, tuple[Path, Path, ExportedMixer]] = {}

    def export(kind: str) -> tuple[Path, Path, ExportedMixer]:
        if kind not in made:
            given = mixer_embedder if "embed" in kind else None
            folder = tmp_path_factory.mktemp("mixer")
            path = tiny_mixers.write(folder / "checkpoint.pt", tiny_mixers.make_state(kind, given))
            out = folder / "out"
            made[kind] = path, out, export_mixer(path, out, embedder=given, licence="CC0")
        return made[kind]

    return export


@pytest.fixture
def ready_mixer(
    exported_mixer: Callable[[str], tuple[Path, Path, ExportedMixer]], monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """Let both graphs of a classic autoencoder be there already: for tests that are about the folder."""
    from exportface import mixer_export

    path, out, _ = exported_mixer("tiny-ae-classic")
    encoder, decoder = onnx.load(out / "encoder.onnx"), onnx.load(out / "decoder.onnx")
    as_made = copy.deepcopy(decoder)
    for port in as_made.graph.input:
        port.name = "z"
    for node in as_made.graph.node:
        node.input[:] = ["z" if name == "codes" else name for name in node.input]
    monkeypatch.setattr(mixer_export, "encoder_graph", lambda network, size: copy.deepcopy(encoder))
    monkeypatch.setattr(mixer_export, "decoder_graph", lambda network, code_dim: copy.deepcopy(as_made))
    return path, out


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command exportface with arguments; gives its exit code, stdout and stderr."""
    from exportface.cli import app
    from genface.commands import run_app

    def run_exportface(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as leave:
            run_app(app, "exportface", [str(argument) for argument in arguments])
        output = capfd.readouterr()
        return int(leave.value.code or 0), output.out, output.err

    return run_exportface


@pytest.fixture(scope="session")
def check_onnx(exported: Callable[[str], Exported]) -> Callable[[str, onnx.ModelProto], Parity]:
    """Hold a graph, altered or not, against the generator of a preset."""
    return lambda name, model: exported(name).parity(onnx_form(model))


def _faces(count: int, size: int) -> FaceSet:
    images = np.stack([cartoons.render(0, index, size) for index in range(count)])
    return FaceSet(
        name="drawn faces",
        images=images,
        names=[f"{index}.png" for index in range(count)],
        digests=[f"{index:064x}" for index in range(count)],
        preparation=Preparation(size=size),
        key="0" * 64,
        notes=[],
    )


@torch.no_grad()
def _enliven(generator: nn.Module, config: Config) -> None:
    """Give every tensor a say and the pictures contrast, as long training would: parity on flat pictures is nothing."""
    rng = torch.Generator().manual_seed(0)
    for module in generator.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0.0, 0.1, generator=rng)
            module.running_var.uniform_(0.5, 2.0, generator=rng)
            module.weight.uniform_(0.5, 1.5, generator=rng)
        if isinstance(getattr(module, "bias", None), torch.Tensor):
            module.bias.normal_(0.0, 0.1, generator=rng)
    last = [module for module in generator.modules() if isinstance(module, nn.ConvTranspose2d)][-1]
    z = torch.randn(64, config.z_dim, generator=rng)
    while generator(z).clamp(-1, 1).std() < TARGET_STD:
        last.weight.mul_(1.25)
