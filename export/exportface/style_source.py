"""What the checkpoint of a stylizer gives to an export: its averaged network, and what is known about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from exportface.source import count, naming_damage, naming_misfits, read_state, refuse_infinite, utf8
from trainface import checkpoint
from trainface.style.config import StyleConfig
from trainface.style.network import Stylizer, build_stylizer
from trainface.style.train import StyleTask


@dataclass(frozen=True, kw_only=True)
class StyleSource:
    """The part of a stylizer's checkpoint that an export reads."""

    config: StyleConfig
    stylizer: Stylizer
    """float32, in eval mode."""
    styles: tuple[str, ...]
    """Names of the styles 1 to K."""
    features: str
    """The network whose features measured content and style in training, e.g. `vgg19`."""
    dataset: str
    """Name of the data set."""
    images_seen: int
    sha256: str
    """SHA-256 of the checkpoint file, in hexadecimal."""


def read_style(path: Path) -> StyleSource:
    """Rebuild the averaged network of a checkpoint of `trainface style train`.

    Raises UserError when the file is missing, unreadable, damaged or of another kind, when its weights do not fit its
    own configuration or are not finite, and when a training run replaced it while it was read.
    """
    state, sha256 = read_state(path, lambda file: checkpoint.load_kind(file, StyleTask.kind, StyleTask.format_version))
    with naming_damage(path):
        config = StyleConfig.from_dict(state["config"])
        if not config.paintings:
            raise KeyError("paintings")
        stylizer = build_stylizer(config)
        with naming_misfits():
            stylizer.load_state_dict(state["ema"]["stylizer"])
        refuse_infinite(stylizer)
        return StyleSource(
            config=config,
            stylizer=stylizer.eval().requires_grad_(False),
            styles=tuple(utf8(name) for name in config.paintings),
            features=str(state["features"]["name"]),
            dataset=utf8(str(state["data"]["name"])),
            images_seen=count(state["cur_nimg"]),
            sha256=sha256,
        )
