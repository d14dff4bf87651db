"""A run's settings as a person can read and repeat them: what is in use, what differs from the preset, the command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from genface.photos import Preparation
from trainface.config import Config
from trainface.presets import preset

# Settings that the command line has options of their own for.
_OPTIONS = ("kimg", "batch", "seed")


def setting_text(value: object) -> str:
    """A value of `Config.to_dict` as `--set` reads it."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    # Every digit of a number, but no empty decimal.
    return "none" if value is None else str(value).removesuffix(".0")


def changes_to_preset(config: Config) -> dict[str, str]:
    """The settings that differ from those of the configuration's preset; raises UserError for an unknown preset."""
    usual, mine = preset(config.preset).to_dict(), config.to_dict()
    return {name: setting_text(value) for name, value in mine.items() if value != usual[name]}


def in_use(config: Config) -> dict[str, str]:
    """The settings that say anything: all but those that stand where `Config` leaves them."""
    defaults = {field.name: field.default for field in fields(config) if field.default is not MISSING}
    return {
        name: setting_text(value)
        for name, value in config.to_dict().items()
        if name not in defaults or getattr(config, name) != defaults[name]
    }


def training_command(
    config: Config,
    *,
    src: str,
    run: str,
    preparation: Preparation,
    augment: Mapping[str, Any] | None = None,
    init_from: str | None = None,
) -> str:
    """The command that begins the same run: one line for a POSIX shell.

    `src`: the data; `run`: the folder to write; `augment`: the offline augmentation as `FaceSet` has it; `init_from`:
    the checkpoint that the run began with, if any.
    """
    changes = changes_to_preset(config)
    words = ["trainface", src, "--run", run, "--preset", config.preset]
    for name in _OPTIONS:
        if name in changes:
            words += [f"--{name}", changes.pop(name)]
    if preparation.crop != "center":
        words += ["--crop", preparation.crop]
    if augment is not None:
        words += ["--offline-augment", augment["file"], "--augment-copies", str(augment["copies"])]
    if init_from is not None:
        words += ["--init-from", init_from]
    for name, text in changes.items():
        words += ["--set", f"{name}={text}"]
    return shlex.join(words)
