"""What a graph is fed: blocks of latents, and the further scalars that a stranger's graph may take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genface.contract import NUMPY_TYPES, Answers, Port, known, listed
from genface.errors import UserError

_LATENT_TYPES = {"float32", "float16", "float64"}
_SCALAR_TYPES = {"float32", "float16", "float64", "int32", "int64", "bool"}


@dataclass(frozen=True, kw_only=True)
class Scalar:
    """One number that every picture of a drawing shares, as the truncation of a StyleGAN does."""

    name: str
    type: str
    """NumPy's name of its type."""
    shape: tuple[int | None, ...]
    """Its shape in the graph; None stands for the batch."""
    value: float
    """A Python int, bool or float, by the type."""

    def array(self, batch: int) -> NDArray[Any]:
        """The value as the graph takes it."""
        return np.full([batch if side is None else side for side in self.shape], self.value, dtype=self.type)


@dataclass(frozen=True, kw_only=True)
class Feed:
    """How latents become the inputs of a graph."""

    latent_name: str
    latent_type: str
    """NumPy's name of the type."""
    z_dim: int | None
    """Length of a latent; None where the graph leaves it open and nobody said it yet."""
    latent_rank: int
    """2 for [N, C], 4 for [N, C, 1, 1]."""
    fixed_batch: int | None
    scalars: tuple[Scalar, ...]

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one latent: (C,) or (C, 1, 1)."""
        assert self.z_dim is not None
        return (self.z_dim, *[1] * (self.latent_rank - 2))

    def arrays(self, z: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """The inputs of a graph for latents [N, C], by name."""
        latent = z.reshape(len(z), *z.shape[1:], *[1] * (self.latent_rank - 2)).astype(self.latent_type, copy=False)
        return {self.latent_name: latent, **{scalar.name: scalar.array(len(z)) for scalar in self.scalars}}


def read_feed(required: Sequence[Port], optional: Sequence[Port], answers: Answers) -> Feed:
    """Find the latent among a graph's inputs and give every further one its value.

    `optional` are the inputs that have a default in the graph: these may be left out. Raises UserError, naming what is
    there and how to answer, when the latent is not evident, when an input lacks its value or takes another kind of
    value, and when a value is given for what is no scalar input.
    """
    latent = _latent(required, answers.latent)
    batch = known(latent.shape[0])
    further = [port for port in required if port is not latent]
    strange = [port for port in further if not _is_scalar(port, batch)]
    if strange:
        raise UserError(
            f"takes {listed(strange)} beside the latent; genface feeds scalars there: export it with that input fixed"
        )
    takes = {port.name: port for port in [*further, *(port for port in optional if _is_scalar(port, batch))]}
    for name in answers.inputs:
        if name not in takes:
            there = f"it has: {listed(list(takes.values()))}" if takes else f"it takes the latent {latent.name} alone"
            raise UserError(f"has no further input {name!r}; {there}")
    for port in further:
        if port.name not in answers.inputs:
            raise UserError(f"needs a value for its input {listed([port])}: give it by --input {port.name}=VALUE")
    feed = Feed(
        latent_name=latent.name,
        latent_type=NUMPY_TYPES[latent.type],
        z_dim=known(latent.shape[1]),
        latent_rank=len(latent.shape),
        fixed_batch=batch,
        scalars=tuple(_scalar(takes[name], value) for name, value in sorted(answers.inputs.items())),
    )
    if answers.z_dim not in (None, feed.z_dim) and feed.z_dim is not None:
        raise UserError(f"takes latents of {feed.z_dim} numbers ({listed([latent])}), not {answers.z_dim}")
    return replace(feed, z_dim=feed.z_dim or answers.z_dim)


def _latent(required: Sequence[Port], asked: str | None) -> Port:
    """The input to draw from: the one that is asked for, else the only one that can be."""
    named = [port for port in required if asked in (None, port.name)]
    if asked is not None and not named:
        raise UserError(f"has no input {asked!r} that it needs; it takes {listed(required)}")
    possible = [port for port in named if _may_be_latent(port, open_sides=asked is not None)]
    # [N, 1] is rather a scalar that each picture has of its own, unless there is nothing longer.
    possible = [port for port in possible if port.shape[1] != 1] or possible
    if not possible:
        open_ones = [port.name for port in named if asked is None and _may_be_latent(port, open_sides=True)]
        how = f": if it is one, say so by --latent {' or '.join(open_ones)}" if open_ones else ""
        raise UserError(f"takes {listed(named)}; a latent is float [N, C] or [N, C, 1, 1]{how}")
    if len(possible) > 1:
        names = " or ".join(port.name for port in possible)
        raise UserError(
            f"takes several inputs that may be the latent ({listed(possible)}): say which by --latent {names}"
        )
    return possible[0]


def _may_be_latent(port: Port, *, open_sides: bool) -> bool:
    """Sides that the graph leaves open may be those of a picture to paint over, so they count when it is asked for."""
    return (
        NUMPY_TYPES.get(port.type) in _LATENT_TYPES
        and len(port.shape) in (2, 4)
        and port.shape[1] != 0
        and all(side == 1 or (open_sides and known(side) is None) for side in port.shape[2:])
    )


def _is_scalar(port: Port, batch: int | None) -> bool:
    first = [known(side) for side in port.shape[:1]]
    return (
        NUMPY_TYPES.get(port.type) in _SCALAR_TYPES
        and all(side in (None, 1, batch) for side in first)
        and all(side == 1 for side in port.shape[1:])
    )


def _scalar(port: Port, value: float) -> Scalar:
    """Raises UserError when the input's type cannot hold the value."""
    dtype = np.dtype(NUMPY_TYPES[port.type])
    try:
        number = value if isinstance(value, int) else float(value)
        with np.errstate(over="ignore"):
            held = math.isfinite(number) and bool(np.isfinite(dtype.type(number)))
    except (TypeError, ValueError, OverflowError):
        held = False
    if held and dtype.kind in "ib":
        limits = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        held = number == int(number) and limits[0] <= number <= limits[1]
    if not held:
        kind = {"f": "a number", "i": "a whole number", "b": "0 or 1"}[dtype.kind]
        raise UserError(f"its input {port.name} is {dtype}: it takes {kind} in that range, not {value!r}")
    kinds: dict[str, type[float]] = {"f": float, "i": int, "b": bool}
    return Scalar(
        name=port.name,
        type=dtype.name,
        shape=tuple(known(side) for side in port.shape),
        value=kinds[dtype.kind](number),
    )
