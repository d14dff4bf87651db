"""What the training of a stylizer is made of, and the recipes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from genface.errors import UserError
from trainface.record import require, require_range
from trainface.schedules import Cosine
from trainface.style.sides import MAX_SIDE, MIN_SIDE
from trainface.supervised.config import SupervisedConfig


@dataclass(frozen=True, kw_only=True)
class StyleConfig(SupervisedConfig):
    """Everything that decides what a run computes; stored in its checkpoint."""

    # The network.
    paintings: tuple[str, ...] = ()
    """Names of the styles in their order; they are given by the paintings' files."""
    widths: tuple[int, ...]
    """Channels of the network at the photo's resolution, at half of it and at a quarter."""
    blocks: int = 5
    """Residual blocks at a quarter of the resolution."""

    # What is wanted of a picture.
    content_weight: float = 1.0
    """Of the distance from the photo's content."""
    style_weight: float = 20.0
    """Of the distance from the paintings' Gram matrices."""
    tv_weight: float = 0.5
    """Of the total variation: more is smoother."""
    painting_size: int = 256
    """Longer side of the paintings in pixels: it decides how large strokes are."""
    full_strength: float = 0.6
    """Share of the pictures that are painted at strength 1; the others at a random one from 0 to 1."""
    holdout: float = 0.02
    """Share of the photos that are kept out of the training, for the losses that are told with every tick."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(MIN_SIDE <= self.size <= 1024, "size", self.size, f"{MIN_SIDE} to 1024")
        widths = ",".join(map(str, self.widths))
        require(len(self.widths) == 3 and all(w > 0 for w in self.widths), "widths", widths, "three positive numbers")
        require(0 <= self.blocks <= 64, "blocks", self.blocks, "0 to 64")
        require(
            MIN_SIDE <= self.painting_size <= MAX_SIDE, "painting_size", self.painting_size, f"{MIN_SIDE} to {MAX_SIDE}"
        )
        for name, high in _RANGES.items():
            require_range(name, getattr(self, name), 0.0, high)
        names = ",".join(self.paintings)
        require(len(set(self.paintings)) == len(self.paintings), "paintings", names, "different names")

    @property
    def styles(self) -> int:
        """How many styles there are beside the identity."""
        return len(self.paintings)


_RANGES = {"content_weight": 1e6, "style_weight": 1e6, "tv_weight": 1e6, "full_strength": 1.0, "holdout": 0.5}

# fmt: off
PRESETS: Mapping[str, StyleConfig] = MappingProxyType({config.preset: config for config in (
    # For two CPU cores.
    StyleConfig(preset="style128", size=128, batch=4, kimg=40, widths=(16, 32, 64), lr=Cosine(2e-3, 2e-4),
                tick_kimg=2, ema_halflife_kimg=1),
    # The network and the length of Johnson et al. 2016, for a GPU.
    StyleConfig(preset="style256", size=256, batch=4, kimg=160, widths=(32, 64, 128), lr=Cosine(1e-3, 1e-4),
                painting_size=512, tick_kimg=8, ema_halflife_kimg=2),
    # To try whether everything works.
    StyleConfig(preset="tiny", size=16, batch=2, kimg=0.02, widths=(4, 4, 8), blocks=1, lr=Cosine(1e-3, 1e-3),
                painting_size=16, tick_kimg=0.01, precision="fp32"),
)})
# fmt: on


def preset(name: str) -> StyleConfig:
    """The recipe of this name; raises UserError for an unknown one."""
    if name not in PRESETS:
        raise UserError(f"unknown preset {name!r}; known: {', '.join(PRESETS)}")
    return PRESETS[name]
