"""What a generator's graph takes and gives, read from its inputs and outputs; a stranger's graph as far as it tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from genface.errors import UserError

Layout = Literal["NHWC", "NCHW"]
ValueRange = Literal["0 to 255", "-1 to 1", "0 to 1"]

_FLOATS = {"tensor(float)", "tensor(float16)"}
# 16 faces show dark and light: in [-1, 1] they reach well below 0, in either range well above 0.3. The slack beyond is
# for generators that do not clamp.
_LOWEST = {"-1 to 1": (-2.0, -0.3), "0 to 1": (-0.1, 1.0)}
_HIGHEST = {"-1 to 1": (0.3, 2.0), "0 to 1": (0.3, 1.1)}
_FLOAT_RANGES: tuple[ValueRange, ...] = ("-1 to 1", "0 to 1")


class Port(Protocol):
    """An input or output of a graph, as ONNX Runtime describes it; a dynamic dimension is a name or None."""

    name: str
    type: str
    shape: Sequence[int | str | None]


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Where the latent goes in and in what form the pictures come out."""

    input_name: str
    latent_shape: tuple[int, ...]
    """Shape of one latent: (C,) or (C, 1, 1)."""
    fixed_batch: int | None
    """The batch size that is cast into the graph; None when it is dynamic."""
    output_name: str
    layout: Layout
    is_float: bool
    """Whether the pictures are floating-point; their range is then measured (`measured_range`)."""

    @property
    def z_dim(self) -> int:
        """Length of a latent vector."""
        return self.latent_shape[0]


def read_contract(inputs: Sequence[Port], outputs: Sequence[Port]) -> Contract:
    """Find the latent input and the image output of a graph.

    Raises UserError naming what is there when it is not one latent (float32 [N, C] or [N, C, 1, 1]) and one RGB image
    (uint8 [N, H, W, 3], or uint8 or float [N, 3, H, W]).
    """
    if len(inputs) != 1:
        raise UserError(
            f"takes {len(inputs)} inputs ({_listed(inputs)}); genface feeds one, the latent:"
            " export it with the others fixed"
        )
    (latent,) = inputs
    channels, *rest = latent.shape[1:] or (None,)
    if latent.type != "tensor(float)" or rest not in ([], [1, 1]) or not isinstance(channels, int):
        raise UserError(f"takes {_listed(inputs)}; a latent is float32 [N, C] or [N, C, 1, 1] with a fixed C")
    if len(outputs) != 1:
        raise UserError(f"gives {len(outputs)} outputs ({_listed(outputs)}); genface expects one, the pictures")
    (images,) = outputs
    layout = _layout(images)
    if layout is None:
        raise UserError(
            f"gives {_listed(outputs)}; pictures are uint8 [N, H, W, 3], or uint8 or float [N, 3, H, W], in RGB"
        )
    batch = latent.shape[0]
    return Contract(
        input_name=latent.name,
        latent_shape=(channels, *(1 for _ in rest)),
        fixed_batch=batch if isinstance(batch, int) else None,
        output_name=images.name,
        layout=layout,
        is_float=images.type in _FLOATS,
    )


def measured_range(pictures: NDArray[Any]) -> ValueRange:
    """Tell [-1, 1] from [0, 1] by a few generated float pictures. Raises UserError when neither is evident."""
    low, high = float(pictures.min()), float(pictures.max())
    for value_range in _FLOAT_RANGES:
        (lowest_from, lowest_to), (highest_from, highest_to) = _LOWEST[value_range], _HIGHEST[value_range]
        if lowest_from <= low <= lowest_to and highest_from <= high <= highest_to:
            return value_range
    raise UserError(f"gives values from {low:.3g} to {high:.3g}; genface knows pictures in [-1, 1] and in [0, 1]")


def to_rgb(pictures: NDArray[Any], layout: Layout, value_range: ValueRange) -> NDArray[np.uint8]:
    """Turn a graph's output into uint8 [N, H, W, 3]; values are clipped, then rounded half to even."""
    if layout == "NCHW":
        pictures = pictures.transpose(0, 2, 3, 1)
    if value_range != "0 to 255":
        scale, offset = (127.5, 127.5) if value_range == "-1 to 1" else (255.0, 0.0)
        levels = pictures.astype(np.float32) * np.float32(scale) + np.float32(offset)
        pictures = np.rint(levels.clip(0, 255))
    return np.ascontiguousarray(pictures, dtype=np.uint8)


def _layout(images: Port) -> Layout | None:
    if len(images.shape) != 4:
        return None
    if images.type == "tensor(uint8)" and images.shape[3] == 3:
        return "NHWC"
    if images.type in _FLOATS | {"tensor(uint8)"} and images.shape[1] == 3:
        return "NCHW"
    return None


def _listed(ports: Sequence[Port]) -> str:
    return ", ".join(f"{port.name}: {port.type.removeprefix('tensor(').rstrip(')')} {_shape(port)}" for port in ports)


def _shape(port: Port) -> str:
    return "[" + ", ".join("?" if side is None else str(side) for side in port.shape) + "]"
