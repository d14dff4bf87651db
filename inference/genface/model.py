"""A generator in one ONNX file: opened, checked against its contract, and drawn from."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genface.contract import Contract, ValueRange, measured_range, read_contract, to_rgb
from genface.errors import UserError
from genface.latents import latents
from genface.metadata import ModelCard
from genface.photos import Preparation
from genface.providers import Precision, Provider, find_provider, first_line, open_session

# How files begin that are given in place of a generator, and what to do about it.
_NOT_ONNX = {
    b"PK\x03\x04": "is a .zip or a torch checkpoint, not ONNX: make gen.onnx of a checkpoint by exportface",
    b"version https://git-lfs": "is a Git LFS pointer, not the model: fetch it by git lfs pull",
    b"<!DOCTYPE": "is a web page, not ONNX: download the file itself",
    b"<html": "is a web page, not ONNX: download the file itself",
}
# A protobuf string entry with the key "location": weights that lie in a file of their own.
_EXTERNAL_WEIGHTS = b"\x0a\x08location\x12"


@dataclass(frozen=True, kw_only=True)
class GeneratorInfo:
    """What is known about an opened generator."""

    path: Path
    sha256: str
    """SHA-256 of the file, in hexadecimal."""
    size_bytes: int
    contract: Contract
    value_range: ValueRange
    """Range of the graph's output; measured on generated pictures when they are floating-point."""
    height: int
    width: int
    card: ModelCard | None
    """The record in the file's metadata; None for a generator that this project did not export."""
    metadata: dict[str, str]
    """All metadata properties of the file."""
    provider: Provider
    """What runs the graph; its precision is the one that it was seen to compute in."""

    @property
    def z_dim(self) -> int:
        """Length of a latent vector."""
        return self.contract.z_dim

    @property
    def preparation(self) -> Preparation | None:
        """How the photos were prepared that the generator learned from, where the file says so."""
        return self.card.preparation if self.card else None


class Generator:
    """A generator file that is ready to draw.

    Picture i of a seed is the same whatever it is drawn together with: latents are counted, and the graph is always
    fed blocks of one size by one thread. Several threads may draw from one Generator.

        generator = Generator("gen.onnx")
        faces = generator.draw(seed=0, indices=range(64))  # uint8 [64, H, W, 3]
    """

    def __init__(self, path: str | os.PathLike[str], *, provider: str = "cpu", precision: Precision = "fp32") -> None:
        """Open a file and draw one block as a trial.

        Raises UserError, naming the file, when it is missing, not ONNX, truncated or no generator, when its metadata
        contradicts its graph, or when the provider is not there or does not compute in this precision.
        """
        path = Path(path)
        graph = _read(path)
        chosen = find_provider(provider, precision)
        try:
            self._session = open_session(graph, chosen)
            self._contract = read_contract(self._session.get_inputs(), self._session.get_outputs())
            self._block = self._contract.fixed_batch or chosen.block
            self._turn = nullcontext() if chosen.concurrent else threading.Lock()
            self.info = self._describe(path, graph, chosen)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error

    @property
    def block(self) -> int:
        """Pictures that the graph is fed at once."""
        return self._block

    def draw(
        self, *, seed: int, indices: Sequence[int] | NDArray[np.integer], truncation: float | None = None
    ) -> NDArray[np.uint8]:
        """Draw the pictures `indices` of `seed` (see `genface.latents.latents`): uint8 [N, H, W, 3], RGB."""
        return self.from_latents(latents(seed, indices, self.info.z_dim, truncation=truncation))

    def from_latents(self, z: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Draw the pictures of latents, float32 [N, z_dim]: uint8 [N, H, W, 3], RGB."""
        info = self.info
        if z.ndim != 2 or z.shape[1] != info.z_dim:
            raise UserError(f"{info.path} takes latents of shape [N, {info.z_dim}], not {list(z.shape)}")
        pictures = np.empty((len(z), info.height, info.width, 3), dtype=np.uint8)
        for start in range(0, len(z), self._block):
            part = z[start : start + self._block]
            try:
                raw = self._run(part)
            except UserError as error:
                raise UserError(f"{info.path}: {error}") from error
            pictures[start : start + len(part)] = to_rgb(raw, info.contract.layout, info.value_range)
        return pictures

    def _run(self, z: NDArray[np.float32], session: Any = None) -> NDArray[np.generic]:
        """Feed up to one block, padded to a whole one; give what the graph gives, without the padding."""
        padded = np.concatenate([z, np.repeat(z[-1:], self._block - len(z), axis=0)]).astype(np.float32)
        feed = {self._contract.input_name: padded.reshape(self._block, *self._contract.latent_shape)}
        try:
            with self._turn:
                (output,) = (session or self._session).run([self._contract.output_name], feed)
        except Exception as error:
            raise UserError(f"ONNX Runtime failed to draw ({first_line(error)})") from error
        if len(output) != self._block:
            raise UserError(f"gave {len(output)} pictures for {self._block} latents")
        pictures: NDArray[np.generic] = output[: len(z)]
        return pictures

    def _describe(self, path: Path, graph: bytes, provider: Provider) -> GeneratorInfo:
        contract = self._contract
        trial = self._run(latents(0, range(self._block), contract.z_dim))
        if not np.isfinite(trial).all():
            raise UserError("gives values that are not finite")
        height, width = trial.shape[1:3] if contract.layout == "NHWC" else trial.shape[2:4]
        try:
            metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        except UnicodeDecodeError as error:
            raise UserError(f"its metadata is damaged: it holds bytes that are not UTF-8 ({error})") from error
        card = ModelCard.from_props(metadata)
        if card and (card.z_dim, card.resolution, card.resolution, card.preparation.size) != (
            contract.z_dim,
            height,
            width,
            height,
        ):
            raise UserError(
                f"its metadata says z_dim {card.z_dim}, {card.resolution} px and photos prepared at"
                f" {card.preparation.size} px, its graph {contract.z_dim} and {width}x{height}: export it again"
            )
        return GeneratorInfo(
            path=path,
            sha256=hashlib.sha256(graph).hexdigest(),
            size_bytes=len(graph),
            contract=contract,
            value_range=measured_range(trial) if contract.is_float else "0 to 255",
            height=height,
            width=width,
            card=card,
            metadata=metadata,
            provider=self._as_seen(provider, graph, trial),
        )

    def _as_seen(self, provider: Provider, graph: bytes, trial: NDArray[np.generic]) -> Provider:
        """The provider in the precision that the trial was computed in.

        OpenVINO runs networks of transposed convolutions in fp32, whatever is asked for: then no value differs, where
        bf16 moves every tenth.
        """
        if provider.precision != "bf16":
            return provider
        in_fp32 = find_provider(provider.name)
        expected = self._run(latents(0, range(self._block), self._contract.z_dim), open_session(graph, in_fp32))
        return replace(provider, precision="fp32") if np.array_equal(trial, expected) else provider


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give the .onnx file of a generator")
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UserError(f"{path}: is not a regular file; give the .onnx file of a generator")
        graph = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; give the .onnx file of a generator") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not graph:
        raise UserError(f"{path}: is empty")
    for beginning, remedy in _NOT_ONNX.items():
        if graph.startswith(beginning):
            raise UserError(f"{path}: {remedy}")
    if _EXTERNAL_WEIGHTS in graph:
        # The archive names its model by this file's hash, which would not cover weights beside it.
        raise UserError(f"{path}: keeps its weights in a file of their own; export it as one (external_data=False)")
    return graph
