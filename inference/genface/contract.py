"""What a generator's graph takes and gives, as far as it tells, and how what it gives becomes RGB."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from genface.errors import UserError

Layout = Literal["NHWC", "NCHW"]
ValueRange = Literal["0 to 255", "-1 to 1", "0 to 1"]

VALUE_RANGES: Mapping[str, ValueRange] = MappingProxyType({"-1:1": "-1 to 1", "0:1": "0 to 1", "0:255": "0 to 255"})
"""What a person may say of a graph's values, and what it means."""
NUMPY_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "tensor(uint8)": "uint8",
        "tensor(float)": "float32",
        "tensor(float16)": "float16",
        "tensor(double)": "float64",
        "tensor(int32)": "int32",
        "tensor(int64)": "int64",
        "tensor(bool)": "bool",
    }
)
"""ONNX Runtime's names of the types that genface feeds and reads."""

_PICTURE_TYPES = {"uint8", "float32", "float16", "float64"}
# 16 faces show dark and light: in [-1, 1] they reach well below 0, in either range well above 0.3. The slack beyond is
# for generators that do not clamp.
_LOWEST = {"-1 to 1": (-2.0, -0.3), "0 to 1": (-0.1, 1.0)}
_HIGHEST = {"-1 to 1": (0.3, 2.0), "0 to 1": (0.3, 1.1)}
_FLOAT_RANGES: tuple[ValueRange, ...] = ("-1 to 1", "0 to 1")
_TO_LEVELS: Mapping[ValueRange, tuple[float, float]] = MappingProxyType(
    {"-1 to 1": (127.5, 127.5), "0 to 1": (255.0, 0.0), "0 to 255": (1.0, 0.0)}
)
# How four sides may be read as pictures, by whether they are floating-point: colour first, then the usual layout.
_READINGS: Mapping[bool, tuple[tuple[Layout, int], ...]] = MappingProxyType(
    {
        False: (("NHWC", 3), ("NCHW", 3), ("NHWC", 1), ("NCHW", 1)),
        True: (("NCHW", 3), ("NHWC", 3), ("NCHW", 1), ("NHWC", 1)),
    }
)
_CHANNELS_AT = {"NHWC": 3, "NCHW": 1}
# What is narrower is no picture but numbers that happen to have four sides, as pooled features have.
_SMALLEST_SIDE = 4


@dataclass(frozen=True, kw_only=True)
class Port:
    """An input or output of a graph, as ONNX Runtime describes it."""

    name: str
    type: str
    """`tensor(float)`, for example."""
    shape: tuple[int | str | None, ...]
    """A dynamic dimension is a name or None; () is also what is shown where no shape is declared."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a person says of a graph that the graph does not say of itself; what is left out is found, or asked for."""

    inputs: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Values of further scalar inputs, by name."""
    latent: str | None = None
    """Name of the input that is the latent."""
    z_dim: int | None = None
    """Length of a latent, where the graph leaves it open."""
    output: str | None = None
    """Name of the output that holds the pictures."""
    value_range: str | None = None
    """Range of floating-point pictures: one of `VALUE_RANGES`."""

    @property
    def about_graph(self) -> dict[str, str | int]:
        """What was answered, but for the inputs: arguments of `Generator` by their names."""
        answers = {"latent": self.latent, "z_dim": self.z_dim, "output": self.output, "value_range": self.value_range}
        return {name: value for name, value in answers.items() if value is not None}

    def __post_init__(self) -> None:
        if self.value_range not in (None, *VALUE_RANGES):
            raise UserError(f"no value range {self.value_range!r}; there are: {', '.join(VALUE_RANGES)}")
        if self.z_dim is not None and self.z_dim < 1:
            raise UserError(f"z_dim must be at least 1, not {self.z_dim}")


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Where the latent goes in and in what form the pictures come out."""

    input_name: str
    latent_shape: tuple[int, ...]
    """Shape of one latent: (C,) or (C, 1, 1)."""
    latent_type: str
    """NumPy's name of the type that latents are fed in: `float32` in all that exportface writes."""
    fixed_batch: int | None
    """The batch size that is cast into the graph; None when it is dynamic."""
    output_name: str
    picture_type: str
    """NumPy's name of the type that pictures come in."""
    picture_shape: tuple[int, int, int]
    """Shape of one picture as the graph gives it."""
    layout: Layout
    unused_outputs: tuple[str, ...] = ()
    """Outputs beside the pictures; they are not computed."""

    @property
    def z_dim(self) -> int:
        """Length of a latent vector."""
        return self.latent_shape[0]

    @property
    def is_float(self) -> bool:
        """Whether the pictures are floating-point; their range is then measured or said."""
        return self.picture_type != "uint8"

    @property
    def channels(self) -> int:
        """3, or 1 for gray pictures, which become RGB by repetition."""
        return self.picture_shape[_CHANNELS_AT[self.layout] - 1]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a picture."""
        height, width = (side for at, side in enumerate(self.picture_shape, 1) if at != _CHANNELS_AT[self.layout])
        return height, width

    @property
    def is_ready(self) -> bool:
        """Whether the graph gives pictures as genface does: uint8 [N, H, W, 3]."""
        return not self.is_float and self.layout == "NHWC" and self.channels == 3


def read_ports(described: Iterable[Any]) -> list[Port]:
    """Take over what a session says of its inputs or outputs. Raises UserError where that is no text."""
    try:
        return [Port(name=port.name, type=port.type, shape=tuple(port.shape)) for port in described]
    except UnicodeDecodeError as error:
        raise UserError(f"is damaged: it names an input or output by bytes that are not UTF-8 ({error})") from error


def possible_pictures(outputs: Sequence[Port], asked: str | None = None) -> list[Port]:
    """The outputs that may be pictures by what they declare; sides that the graph leaves open speak for neither.

    Raises UserError, naming what is there, when there is none, or none called `asked`.
    """
    named = [port for port in outputs if asked in (None, port.name)]
    if asked is not None and not named:
        raise UserError(f"has no output {asked!r}; it gives {listed(outputs)}")
    possible = [port for port in named if _may_be_pictures(port)]
    if not possible:
        raise UserError(
            f"gives {listed(named)}; pictures are uint8 or float [N, H, W, C] or [N, C, H, W], where C is 3 (RGB) or"
            " 1 (gray)"
        )
    return possible


def read_layout(shape: Sequence[int], picture_type: str) -> Layout | None:
    """Tell where the channels are in a batch of pictures, given its four sides; None when it holds no pictures.

    Where both readings fit, uint8 is taken for NHWC and floating-point for NCHW, as they are usually written.
    """
    for layout, channels in _READINGS[picture_type != "uint8"]:
        at = _CHANNELS_AT[layout]
        if len(shape) == 4 and shape[at] == channels and min((*shape[1:at], *shape[at + 1 :])) >= _SMALLEST_SIDE:
            return layout
    return None


def measured_range(pictures: NDArray[Any]) -> ValueRange:
    """Tell [-1, 1] from [0, 1] by a few generated float pictures. Raises UserError when neither is evident."""
    low, high = float(pictures.min()), float(pictures.max())
    for value_range in _FLOAT_RANGES:
        (lowest_from, lowest_to), (highest_from, highest_to) = _LOWEST[value_range], _HIGHEST[value_range]
        if lowest_from <= low <= lowest_to and highest_from <= high <= highest_to:
            return value_range
    raise UserError(
        f"gives values from {low:.3g} to {high:.3g}; genface knows pictures in [-1, 1] and in [0, 1] by themselves:"
        f" say what these are by --range {', '.join(VALUE_RANGES)}"
    )


def to_rgb(pictures: NDArray[Any], layout: Layout, value_range: ValueRange) -> NDArray[np.uint8]:
    """Turn a graph's output into uint8 [N, H, W, 3]: clipped, then rounded half to even; gray is repeated."""
    if layout == "NCHW":
        pictures = pictures.transpose(0, 2, 3, 1)
    if pictures.dtype != np.uint8:
        scale, offset = _TO_LEVELS[value_range]
        levels = pictures.astype(np.float32) * np.float32(scale) + np.float32(offset)
        pictures = np.rint(levels.clip(0, 255))
    rgb = np.ascontiguousarray(pictures, dtype=np.uint8)
    return rgb if rgb.shape[-1] == 3 else rgb.repeat(3, axis=-1)


def known(side: int | str | None) -> int | None:
    """A dimension where the graph fixes it; None for a name, for nothing, and for the -1 that some exporters write."""
    return side if isinstance(side, int) and side >= 0 else None


def listed(ports: Sequence[Port]) -> str:
    """Ports as they are shown: `z: float [N, 64], psi: float []`."""
    shown = ", ".join(f"{port.name}: {port.type.removeprefix('tensor(').rstrip(')')} {_shape(port)}" for port in ports)
    return shown or "nothing"


def _may_be_pictures(port: Port) -> bool:
    if NUMPY_TYPES.get(port.type) not in _PICTURE_TYPES or len(port.shape) not in (0, 4):
        return False
    # Without a shape, ONNX Runtime shows []: the trial will tell.
    return not port.shape or any(known(port.shape[at]) in (None, 1, 3) for at in _CHANNELS_AT.values())


def _shape(port: Port) -> str:
    return "[" + ", ".join("?" if side is None else str(side) for side in port.shape) + "]"
