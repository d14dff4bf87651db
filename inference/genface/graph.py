"""One ONNX file with the inputs and outputs that its place asks for, opened on the best provider that runs it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genface.contract import NUMPY_TYPES, Port, known, listed, read_ports
from genface.cores import usable_cores
from genface.errors import UserError
from genface.providers import Provider, find_provider, names_to_try, open_session
from genface.runner import Arrays, Runner

MAX_THREADS = 1024


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What a graph must take and give: no further input, but further outputs, which are not computed.

    Of a port's sides, a number must be the graph's or left open by it, a name must be left open, and None stands for
    whatever number the graph has fixed.
    """

    what: str
    """What such a graph is, for messages: `the encoder of a mixer`."""
    takes: tuple[Port, ...]
    gives: tuple[Port, ...]
    trial: Mapping[str, int]
    """Values of the named sides in the first run, which proves that the graph runs; `block` stands for the pictures
    that its provider is fed at once."""


class Graph:
    """An opened graph. Runs may be made by several threads at a time."""

    path: Path
    sha256: str
    """SHA-256 of the file, in hexadecimal."""
    inputs: Mapping[str, Port]
    """By name, as the graph describes them."""
    metadata: Mapping[str, str]
    provider: Provider
    passed_over: tuple[str, ...]
    """What `auto` would have preferred, is installed, and does not run this graph here: `NAME: reason`."""

    def __init__(self, path: Path, graph: bytes, signature: Signature, provider: str = "cpu") -> None:
        """Open the bytes of the file `path` on the provider of this name, or for `auto` on the first that runs it.

        Raises UserError naming the file when ONNX Runtime refuses it, its inputs or outputs are others than the
        signature's, or a first run fails or gives other sides or numbers that are not finite.
        """
        self.path = path
        self.sha256 = hashlib.sha256(graph).hexdigest()
        passed_over: list[str] = []
        try:
            *better, last = names_to_try(provider)
            for name in better:
                try:
                    self._open(graph, signature, find_provider(name))
                    break
                except UserError as error:
                    passed_over.append(f"{name}: {error}")
            else:
                self._open(graph, signature, find_provider(last))
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        self.passed_over = tuple(passed_over)

    def run(self, feed: Arrays, *names: str) -> list[NDArray[Any]]:
        """The outputs `names`. Raises UserError, naming the file, when the run fails."""
        try:
            return self._runner.run(feed, names)
        except UserError as error:
            raise UserError(f"{self.path}: {error}") from error

    def _open(self, graph: bytes, signature: Signature, provider: Provider) -> None:
        session = open_session(graph, provider)
        self.provider = provider
        self._runner = Runner(session, provider)
        inputs, outputs = read_ports(session.get_inputs()), read_ports(session.get_outputs())
        _check("takes", signature.what, signature.takes, inputs, closed=True)
        _check("gives", signature.what, signature.gives, outputs, closed=False)
        self.inputs = MappingProxyType({port.name: port for port in inputs})
        try:
            self.metadata = MappingProxyType(session.get_modelmeta().custom_metadata_map)
        except UnicodeDecodeError as error:
            raise UserError(f"its metadata is damaged: it holds bytes that are not UTF-8 ({error})") from error
        self._try(signature)

    def _try(self, signature: Signature) -> None:
        sides = {**signature.trial, "block": self.provider.block}
        feed = {port.name: _filled(port, self.inputs[port.name], sides) for port in signature.takes}
        for port, array in zip(signature.gives, self._runner.run(feed, _names(signature.gives)), strict=True):
            wanted = [sides[side] if isinstance(side, str) else side for side in port.shape]
            if array.ndim != len(wanted) or any(
                w not in (None, got) for w, got in zip(wanted, array.shape, strict=True)
            ):
                fed = ", ".join(f"{name} {list(value.shape)}" for name, value in feed.items())
                raise UserError(f"gives {port.name} of shape {list(array.shape)} for {fed}; {signature.what} does not")
            if not np.isfinite(array).all():
                raise UserError(f"gives values in {port.name} that are not finite")


def side_by_side(provider: Provider, threads: int | None) -> int:
    """Threads that run a graph at a time: `threads`, or one per usable core; one where the provider allows no more.

    Raises UserError for a number that is none of threads.
    """
    if threads is not None and not 1 <= threads <= MAX_THREADS:
        raise UserError(f"threads must be from 1 to {MAX_THREADS:,}, not {threads}")
    return (threads or usable_cores()) if provider.concurrent else 1


def _check(verb: str, what: str, wanted: Sequence[Port], there: Sequence[Port], *, closed: bool) -> None:
    by_name = {port.name: port for port in there}
    fits = all(port.name in by_name and _fits(port, by_name[port.name]) for port in wanted)
    if not fits or (closed and len(there) > len(wanted)):
        raise UserError(f"{verb} {listed(there)}; {what} {verb} {listed(wanted)}")


def _fits(wanted: Port, there: Port) -> bool:
    if wanted.type != there.type or len(wanted.shape) != len(there.shape):
        return False
    return all(_side_fits(side, known(graphs)) for side, graphs in zip(wanted.shape, there.shape, strict=True))


def _side_fits(wanted: int | str | None, there: int | None) -> bool:
    if isinstance(wanted, str):
        return there is None
    return there is not None if wanted is None else there in (None, wanted)


def _filled(wanted: Port, there: Port, sides: Mapping[str, int]) -> NDArray[Any]:
    """Something to run on: a ramp of levels, since some graphs divide by a photo's deviation, or ones."""
    shape = []
    for side, graphs in zip(wanted.shape, there.shape, strict=True):
        length = sides[side] if isinstance(side, str) else known(graphs) if side is None else side
        assert length is not None  # _check has seen to it
        shape.append(length)
    dtype = NUMPY_TYPES[wanted.type]
    return np.resize(np.arange(251, dtype=np.uint8), shape) if dtype == "uint8" else np.ones(shape, dtype=dtype)


def _names(ports: Iterable[Port]) -> list[str]:
    return [port.name for port in ports]
