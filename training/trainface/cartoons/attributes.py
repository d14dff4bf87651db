"""What a cartoon face is: discrete attributes that can be counted, and continuous jitter, both drawn by counter."""

from __future__ import annotations

import operator
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from itertools import accumulate
from types import MappingProxyType
from typing import SupportsIndex

import numpy as np

from genface.errors import UserError
from genface.latents import MAX_SEED, philox4x32

MAX_INDEX = (1 << 63) - 1

# Latents use 0 as Philox's fourth counter word; 1 keeps these draws apart from the latents of the same seed.
_STREAM = 1
# Four numbers a block. The jitter has blocks of its own, so that one more attribute leaves every pose as it is.
_JITTER_BLOCK, _BLOCKS = 4, 9


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """The countable attributes of one face; each value is a key of its row in `PROBABILITIES`."""

    skin: str
    face_shape: str
    hair_style: str
    hair_colour: str
    eye_colour: str
    brows: str
    nose: str
    mouth: str
    beard: str
    glasses: str
    clothes: str
    clothes_colour: str
    background: str
    background_colour: str

    def __post_init__(self) -> None:
        for name, row in PROBABILITIES.items():
            if getattr(self, name) not in row:
                raise UserError(f"unknown {name} {getattr(self, name)!r}; known: {', '.join(row)}")


def _uniform(*values: str) -> Mapping[str, float]:
    return MappingProxyType(dict.fromkeys(values, 1.0 / len(values)))


# Every attribute is drawn independently of the others, so the probability of a combination is a product.
PROBABILITIES: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "skin": _uniform("porcelain", "fair", "olive", "tan", "brown", "deep"),
        "face_shape": _uniform("oval", "round", "square", "heart"),
        "hair_style": _uniform(
            "bald", "buzz", "short", "quiff", "fringe", "curly", "bob", "long", "wavy", "bun", "afro", "ponytail"
        ),
        "hair_colour": _uniform("black", "brown", "chestnut", "auburn", "ginger", "blond", "grey"),
        "eye_colour": _uniform("brown", "hazel", "green", "blue", "grey"),
        "brows": _uniform("soft", "arched", "straight"),
        "nose": _uniform("small", "broad", "long"),
        "mouth": _uniform("neutral", "smile", "open"),
        "beard": MappingProxyType({"none": 0.6, "stubble": 0.1, "moustache": 0.1, "goatee": 0.1, "full": 0.1}),
        "glasses": MappingProxyType({"none": 0.7, "round": 0.15, "square": 0.15}),
        "clothes": _uniform("crew", "v_neck", "shirt"),
        "clothes_colour": _uniform("navy", "red", "teal", "mustard", "white", "charcoal"),
        "background": _uniform("plain", "gradient", "spotlight", "horizon"),
        "background_colour": _uniform("sky", "sand", "sage", "lilac", "rose", "slate"),
    }
)


@dataclass(frozen=True, kw_only=True)
class Jitter:
    """Continuous variation of one face, each number uniform in the range that `JITTER_RANGES` gives."""

    # The head in the picture, whose half side is 1; roll is clockwise in radians.
    shift_x: float
    shift_y: float
    scale: float
    roll: float
    # The turn of the head, as the way that the features move to the right and down; the head is 2 high.
    yaw: float
    pitch: float
    # Where the light comes from, -1 left to 1 right; a factor on the finished picture.
    light_x: float
    exposure: float
    # Factors on the proportions; tilt is the rise of the outer corner per width, gaze and brow height are offsets.
    head_width: float
    jaw_width: float
    eye_spacing: float
    eye_size: float
    eye_tilt: float
    gaze: float
    brow_height: float
    nose_size: float
    mouth_width: float
    lip_fullness: float
    hair_volume: float
    # Side and extent, -1 left to 1 right.
    parting: float


JITTER_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "shift_x": (-0.035, 0.035),
        "shift_y": (-0.03, 0.03),
        "scale": (0.94, 1.06),
        "roll": (-0.09, 0.09),
        "yaw": (-0.1, 0.1),
        "pitch": (-0.03, 0.04),
        "light_x": (-1.0, 1.0),
        "exposure": (0.95, 1.04),
        "head_width": (0.95, 1.04),
        "jaw_width": (0.94, 1.06),
        "eye_spacing": (0.95, 1.06),
        "eye_size": (0.92, 1.1),
        "eye_tilt": (-0.05, 0.08),
        "gaze": (-0.03, 0.03),
        "brow_height": (-0.03, 0.03),
        "nose_size": (0.9, 1.12),
        "mouth_width": (0.9, 1.1),
        "lip_fullness": (0.8, 1.25),
        "hair_volume": (0.8, 1.2),
        "parting": (-1.0, 1.0),
    }
)

assert [field.name for field in fields(Attributes)] == list(PROBABILITIES)
assert [field.name for field in fields(Jitter)] == list(JITTER_RANGES)
assert len(PROBABILITIES) <= 4 * _JITTER_BLOCK
assert len(JITTER_RANGES) <= 4 * (_BLOCKS - _JITTER_BLOCK)


def attributes(seed: int, index: int) -> Attributes:
    """The discrete attributes of face `index` of `seed`.

    Raises UserError unless seed is 0 to 2^64 - 1 and index 0 to 2^63 - 1.
    """
    return draw(seed, index)[0]


def draw(seed: int, index: int) -> tuple[Attributes, Jitter]:
    """Attributes and jitter of face `index` of `seed`, from genface's Philox4x32-10: the same bits on every machine.

    Raises UserError unless seed is 0 to 2^64 - 1 and index 0 to 2^63 - 1.
    """
    uniform = _uniforms(whole("seed", seed, 0, MAX_SEED), whole("index", index, 0, MAX_INDEX))
    chosen = {
        name: values[min(bisect_right(bounds, u), len(values) - 1)]
        for (name, (values, bounds)), u in zip(_cumulative().items(), uniform, strict=False)
    }
    jitter = {
        name: low + (high - low) * u
        for (name, (low, high)), u in zip(JITTER_RANGES.items(), uniform[4 * _JITTER_BLOCK :], strict=False)
    }
    return Attributes(**chosen), Jitter(**jitter)


def whole(name: str, value: SupportsIndex, low: int, high: int) -> int:
    """`value` as an int in [low, high]; raises UserError for anything else, True and 3.0 included."""
    try:
        number = operator.index(value)
    except TypeError:
        number = low - 1
    if isinstance(value, bool) or not low <= number <= high:
        raise UserError(f"{name} must be a whole number from {low} to {high}, not {value!r}")
    return number


def _uniforms(seed: int, index: int) -> list[float]:
    blocks = np.arange(_BLOCKS, dtype=np.uint64)
    low, high, stream = (np.full_like(blocks, word) for word in (index & 0xFFFFFFFF, index >> 32, _STREAM))
    words = np.stack(philox4x32((blocks, low, high, stream), (seed & 0xFFFFFFFF, seed >> 32)), axis=-1)
    uniform: list[float] = ((words.reshape(-1).astype(np.float64) + 0.5) / 2.0**32).tolist()
    return uniform


@cache
def _cumulative() -> dict[str, tuple[list[str], list[float]]]:
    return {name: (list(row), list(accumulate(row.values()))) for name, row in PROBABILITIES.items()}
