"""A generator in one ONNX file: opened, checked against its contract, and drawn from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from genface.contract import Answers, Contract, ValueRange, to_rgb
from genface.cores import usable_cores
from genface.errors import UserError
from genface.latents import latents
from genface.metadata import ModelCard
from genface.model_file import read_model
from genface.opening import Opened, open_graph
from genface.parallel import ordered_map
from genface.photos import Preparation
from genface.providers import Precision, Provider

_NO_INPUTS: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class GeneratorInfo:
    """What is known about an opened generator."""

    path: Path
    sha256: str
    """SHA-256 of the file, in hexadecimal."""
    size_bytes: int
    contract: Contract
    inputs: Mapping[str, float]
    """Values of the further scalar inputs, as they were given."""
    answers: Mapping[str, str | int]
    """What else was said of the graph when it was opened: arguments of `Generator` by their names."""
    value_range: ValueRange
    """Range of the graph's output; said, or measured on generated pictures, when they are floating-point."""
    height: int
    width: int
    card: ModelCard | None
    """The record in the file's metadata; None for a generator that this project did not export."""
    metadata: dict[str, str]
    """All metadata properties of the file."""
    provider: Provider
    """What runs the graph; its precision is the one that it was seen to compute in."""
    passed_over: tuple[str, ...]
    """What `provider="auto"` would have preferred, is installed, and does not run this graph here: `NAME: reason`."""

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

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        provider: str = "cpu",
        precision: Precision = "fp32",
        inputs: Mapping[str, float] = _NO_INPUTS,
        latent: str | None = None,
        z_dim: int | None = None,
        output: str | None = None,
        value_range: str | None = None,
    ) -> None:
        """Open a file and draw one block as a trial.

        Args:
            path: the .onnx file.
            provider: what runs it, by `genface.providers.find_provider`'s names; `auto` for the first of cuda, openvino
                and cpu that is installed, starts on this machine and takes this graph.
            precision: its arithmetic.
            inputs: values of further scalar inputs, by name. This and the rest are for a generator that this project
                did not export, where its graph leaves something open.
            latent: name of the input that is the latent.
            z_dim: length of a latent.
            output: name of the output that holds the pictures.
            value_range: range of floating-point pictures: `-1:1`, `0:1` or `0:255`.

        Raises:
            UserError: naming the file, when it is missing, not ONNX, truncated or no generator, when something about it
                is to be answered, when its metadata contradicts its graph, or when the provider is not there or does
                not compute in this precision.
        """
        path = Path(path)
        answers = Answers(inputs=inputs, latent=latent, z_dim=z_dim, output=output, value_range=value_range)
        graph = read_model(path)
        try:
            opened = open_graph(graph, provider, precision, answers)
            self._runner, self._feed, self._block = opened.runner, opened.trial.feed, opened.trial.block
            self.info = _describe(path, graph, opened, answers)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error

    @property
    def block(self) -> int:
        """Pictures that the graph is fed at once."""
        return self._block

    def draw(
        self, *, seed: int, indices: Sequence[int] | NDArray[np.integer], truncation: float | None = None
    ) -> NDArray[np.uint8]:
        """Draw the pictures `indices` of `seed` (see `genface.latents.latents`): uint8 [N, H, W, 3], RGB.

        Runs in the calling thread; `batches` draws by all cores.
        """
        return self.from_latents(latents(seed, indices, self.info.z_dim, truncation=truncation))

    def from_latents(self, z: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Draw the pictures of latents, float32 [N, z_dim]: uint8 [N, H, W, 3], RGB."""
        info = self.info
        if z.ndim != 2 or z.shape[1] != info.z_dim:
            raise UserError(f"{info.path} takes latents of shape [N, {info.z_dim}], not {list(z.shape)}")
        pictures = self._empty(len(z))
        try:
            for start in range(0, len(z), self.block):
                self._draw_block(z[start : start + self.block], pictures[start : start + self.block])
        except UserError as error:
            raise UserError(f"{info.path}: {error}") from error
        return pictures

    def batches(
        self, n: int, *, seed: int = 0, truncation: float | None = None, size: int | None = None
    ) -> Iterator[NDArray[np.uint8]]:
        """Draw the pictures 0 to n - 1 of `seed`, in order: uint8 [size, H, W, 3] at a time, the last one shorter.

        The same pixels as `draw` gives. All cores draw ahead of the reader, a few blocks each, so memory does not grow
        with n; close the iterator (or drop it) to stop early. `size` is one block where it is not given.
        """
        size = self.block if size is None else size
        if n < 0 or size < 1:
            raise UserError(f"n must be at least 0 and size at least 1, not {n} and {size}")
        latents(seed, [], 1, truncation=truncation)  # refuses what is out of range now, not when it is first read
        return self._batches(n, seed, truncation, size)

    def _batches(self, n: int, seed: int, truncation: float | None, size: int) -> Iterator[NDArray[np.uint8]]:
        def draw(indices: range) -> NDArray[np.uint8]:
            return self.draw(seed=seed, indices=indices, truncation=truncation)

        jobs = (range(start, min(start + self.block, n)) for start in range(0, n, self.block))
        workers = usable_cores() if self.info.provider.concurrent else 1
        with closing(ordered_map(draw, jobs, workers, "draw")) as blocks:
            pictures = self._empty(0)
            for start in range(0, n, size):
                batch = self._empty(min(size, n - start))
                filled = 0
                while filled < len(batch):
                    if not len(pictures):
                        pictures = next(blocks)
                    part = pictures[: len(batch) - filled]
                    batch[filled : filled + len(part)] = part
                    filled, pictures = filled + len(part), pictures[len(part) :]
                yield batch

    def _draw_block(self, z: NDArray[np.float32], pictures: NDArray[np.uint8]) -> None:
        """Write the pictures of up to one block, which is padded to a whole one: its size may move a last bit."""
        contract, block = self.info.contract, self._block
        feed = self._feed.arrays(_padded(z, block))
        if contract.is_ready and len(z) == block:
            self._runner.run_into(feed, contract.output_name, pictures)
            return
        raw = np.empty((block, *contract.picture_shape), dtype=contract.picture_type)
        self._runner.run_into(feed, contract.output_name, raw)
        pictures[...] = to_rgb(raw[: len(z)], contract.layout, self.info.value_range)

    def _empty(self, n: int) -> NDArray[np.uint8]:
        shape = (n, self.info.height, self.info.width, 3)
        try:
            return np.empty(shape, dtype=np.uint8)
        except MemoryError:
            raise UserError(
                f"{self.info.path}: {n:,} pictures of {shape[2]}x{shape[1]} px do not fit into memory at once:"
                " draw fewer at a time (--batch; Generator.batches)"
            ) from None


def _describe(path: Path, graph: bytes, opened: Opened, answers: Answers) -> GeneratorInfo:
    trial = opened.trial
    contract = trial.contract
    height, width = contract.size
    try:
        metadata: dict[str, str] = opened.session.get_modelmeta().custom_metadata_map
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
        inputs={scalar.name: scalar.value for scalar in trial.feed.scalars},
        answers=answers.about_graph,
        value_range=trial.value_range,
        height=height,
        width=width,
        card=card,
        metadata=metadata,
        provider=opened.provider,
        passed_over=opened.passed_over,
    )


def _padded(z: NDArray[np.float32], block: int) -> NDArray[np.float32]:
    return np.concatenate([z, np.repeat(z[-1:], block - len(z), axis=0)]).astype(np.float32, copy=False)
