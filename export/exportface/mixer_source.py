"""What the checkpoint of a mixer gives to an export: its averaged networks, and what is known about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exportface.source import count, naming_damage, naming_misfits, prepared_at, read_state, refuse_infinite, utf8
from genface.photos import Preparation
from trainface import checkpoint
from trainface.mixer.config import MixerConfig
from trainface.mixer.networks import Decoder, Encoder, build_decoder, build_encoder
from trainface.mixer.task import FORMAT_VERSION, KIND


@dataclass(frozen=True, kw_only=True)
class MixerSource:
    """The part of a mixer's checkpoint that an export reads. Networks are float32, in eval mode."""

    config: MixerConfig
    encoder: Encoder | None
    """None where an embedder takes its place."""
    decoder: Decoder
    preparation: Preparation
    dataset: str
    """Name of the data set."""
    images_seen: int
    held_out: dict[str, Any] | None
    """`rule` and `identities` of what was kept out of training; None where nothing was."""
    embedder: dict[str, Any] | None
    """What the run says of its embedder, its SHA-256 and title among it; None where there is an encoder."""
    sha256: str
    """SHA-256 of the checkpoint file, in hexadecimal."""


def read_mixer(path: Path) -> MixerSource:
    """Rebuild the averaged networks of a checkpoint of `trainface mixer`.

    Raises UserError when the file is missing, unreadable, damaged or of another kind, when its weights do not fit its
    own configuration or are not finite, and when a training run replaced it while it was read.
    """
    state, sha256 = read_state(path, lambda file: checkpoint.load_kind(file, KIND, FORMAT_VERSION))
    with naming_damage(path):
        config = MixerConfig.from_dict(state["config"])
        encoder = None if config.method == "embedding" else build_encoder(config)
        decoder = build_decoder(config)
        for name, network in (("encoder", encoder), ("decoder", decoder)):
            if network is not None:
                with naming_misfits():
                    network.load_state_dict(state["ema"][name])
                refuse_infinite(network)
                network.eval().requires_grad_(False)
        return MixerSource(
            config=config,
            encoder=encoder,
            decoder=decoder,
            preparation=prepared_at(config.size, state["preparation"]),
            dataset=utf8(str(state["data"]["name"])),
            images_seen=count(state["cur_nimg"]),
            held_out=_held_out(state["data"]),
            embedder=_embedder(config, state["embedder"]),
            sha256=sha256,
        )


def _held_out(data: dict[str, Any]) -> dict[str, Any] | None:
    identities = [utf8(str(name)) for name in data["held_out_identities"]]
    return {"rule": str(data["held_out_rule"]), "identities": identities} if identities else None


def _embedder(config: MixerConfig, facts: dict[str, Any] | None) -> dict[str, Any] | None:
    """What `given_embedder.open_given` asks for; KeyError or ValueError where the checkpoint lacks or garbles it."""
    if config.method != "embedding":
        return None
    if facts is None:
        raise KeyError("embedder")
    if facts["dim"] != config.code_size:
        raise ValueError(f"an embedder of {facts['dim']} numbers for codes of {config.code_size}")
    return {name: facts[name] for name in ("title", "sha256", "dim", "size", "layout", "mean", "std")}
