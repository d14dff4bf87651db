"""Checkpoints of small mixers whose every tensor has a say, and an embedder for them; loaded by runpy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from evalface.embedder import open_embedder
from genface.photos import Preparation
from trainface import checkpoint
from trainface.mixer.config import MixerConfig
from trainface.mixer.networks import build_decoder, build_encoder
from trainface.mixer.presets import preset
from trainface.presets import preset as gan_preset

DIM = 8
KINDS = ("tiny-ae-classic", "tiny-ae", "tiny-embed-classic", "tiny-embed", "tiny-gan-encoder", "tiny-gan-encoder dcgan")
TARGET_STD = 0.4


def write_embedder(path: Path, *, title: str = "A recogniser", seed: int = 1) -> Path:
    """A random linear map of 12 px to a vector, of one photo at a time."""
    weight = np.random.default_rng(seed).standard_normal((DIM, 3, 12, 12)).astype(np.float32) / 12
    graph = helper.make_graph(
        [helper.make_node("Conv", ["data", "weight"], ["vectors"])],
        "recogniser",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 12, 12])],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, [1, DIM, 1, 1])],
        [numpy_helper.from_array(weight, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"genface.embedder": json.dumps({"title": title})})
    onnx.save(model, path)
    return path


def config_of(kind: str) -> MixerConfig:
    name, _, architecture = kind.partition(" ")
    config = preset(name)
    if config.method == "gan":
        generator = gan_preset("tiny-dcgan" if architecture else "tiny")
        return config.with_settings({"code_dim": str(generator.z_dim), "generator": json.dumps(generator.to_dict())})
    return config.with_settings({"code_dim": str(DIM)})


def make_state(kind: str, embedder: Path | None = None) -> dict[str, Any]:
    """What `trainface mixer` leaves in a checkpoint, of networks whose every tensor has a say."""
    config = config_of(kind)
    torch.manual_seed(0)
    networks: dict[str, nn.Module] = {"decoder": build_decoder(config)}
    if config.method != "embedding":
        networks["encoder"] = build_encoder(config)
    for network in networks.values():
        _enliven(network)
    if "encoder" in networks:
        _spread_codes(networks["encoder"])
    _give_contrast(networks["decoder"], config.code_size)
    held = {"held_out_identities": ["Zoë", "b"], "held_out_rule": "by name", "held_out_share": 0.1}
    return {
        "kind": "trainface-mixer",
        "format_version": 1,
        "config": config.to_dict(),
        "preparation": Preparation(size=16).to_dict(),
        "data": {"name": "drawn faces", "key": "0" * 64, "images": 20, **held},
        "embedder": None if embedder is None else open_embedder(embedder, threads=1).facts,
        "generator": None,
        "cur_nimg": 400,
        "networks": {},
        "ema": {name: network.state_dict() for name, network in networks.items()},
    }


def write(path: Path, state: dict[str, Any]) -> Path:
    checkpoint.save(state, path)
    return path


@torch.no_grad()
def _enliven(network: nn.Module) -> None:
    rng = torch.Generator().manual_seed(0)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0.0, 0.1, generator=rng)
            part.running_var.uniform_(0.5, 2.0, generator=rng)
    for parameter in network.parameters():
        if parameter.ndim == 1 or not parameter.any():
            parameter.normal_(0.0, 0.1, generator=rng)


@torch.no_grad()
def _spread_codes(encoder: nn.Module) -> None:
    last = encoder.to_code if hasattr(encoder, "to_code") else encoder.to_mean
    photos = torch.rand(16, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    while encoder.eval()(photos).std(dim=0).mean() < 1:
        last.weight.mul_(1.5)


@torch.no_grad()
def _give_contrast(decoder: nn.Module, code_dim: int) -> None:
    last = [part for part in decoder.modules() if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)][-1]
    codes = torch.randn(16, code_dim, generator=torch.Generator().manual_seed(0))
    low, high = decoder.output_range
    while decoder.eval()(codes).clamp(low, high).std() * 2 / (high - low) < TARGET_STD:
        last.weight.mul_(1.5)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
