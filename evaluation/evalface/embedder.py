"""A face recogniser as an ONNX file: pictures of faces in, vectors out that lie close for one person.

    embedder = open_embedder("face.onnx")
    vectors = embedder.embed(faces)      # uint8 [N, H, W, 3] -> float32 [N, dim]

Faces are brought to its size by `evalface.extractors.resize.resize_half_pixel`, antialiased where they shrink.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalface.embedder_spec import EmbedderSpec, read_spec
from genface.contract import read_ports
from genface.errors import UserError
from genface.graph import side_by_side
from genface.model_file import read_model
from genface.parallel import ordered_map
from genface.providers import Provider, find_provider, open_session
from genface.runner import Runner

Vectors = NDArray[np.float32]


class Embedder:
    """An embedder that is ready. A face's vector does not depend on the faces beside it."""

    path: Path
    sha256: str
    """SHA-256 of the file, in hexadecimal."""
    spec: EmbedderSpec
    dim: int
    """Numbers in a vector."""

    def __init__(
        self, path: Path, graph: bytes, provider: Provider, *, size: int | None, value_range: str | None, threads: int
    ) -> None:
        """Open a graph's bytes and run it once on a gray ramp; see `open_embedder`."""
        self.path = path
        self.sha256 = hashlib.sha256(graph).hexdigest()
        session = open_session(graph, provider)
        self._runner = Runner(session, provider)
        self._workers = threads
        self.spec = read_spec(
            read_ports(session.get_inputs()),
            read_ports(session.get_outputs()),
            _metadata(session),
            size=size,
            value_range=value_range,
        )
        self._block = self.spec.batch or provider.block
        # Some graphs divide by a picture's deviation, so it must have one.
        ramp = np.resize(np.arange(251, dtype=np.uint8), (1, self.spec.size, self.spec.size, 3))
        self.dim = self._run(ramp).shape[1]

    @property
    def title(self) -> str:
        """What a person calls it: by its metadata, else the file's name."""
        return self.spec.title or self.path.name

    @property
    def facts(self) -> dict[str, Any]:
        """All that decides its numbers, in plain JSON types."""
        return {"title": self.title, "sha256": self.sha256, "dim": self.dim, **self.spec.facts}

    def embed(self, faces: NDArray[np.uint8], told: Callable[[int], None] = lambda done: None) -> Vectors:
        """Vectors of square faces, uint8 [N, H, H, 3], RGB -> float32 [N, dim].

        `told` receives the number of faces that are done, now and then. Raises UserError for faces of another shape,
        and where the run fails or gives a vector that is not finite.
        """
        if faces.ndim != 4 or faces.shape[3] != 3 or faces.shape[1] != faces.shape[2] or faces.dtype != np.uint8:
            raise UserError(
                f"{self.path}: embeds square faces, uint8 [N, H, H, 3], not {faces.dtype} {list(faces.shape)}"
            )
        vectors = np.empty((len(faces), self.dim), dtype=np.float32)
        starts = range(0, len(faces), self._block)

        def embed_block(start: int) -> Vectors:
            return self._run(faces[start : start + self._block])

        with _naming(self.path):
            for start, part in zip(starts, ordered_map(embed_block, starts, self._workers, "embed"), strict=True):
                vectors[start : start + len(part)] = part
                told(start + len(part))
        return vectors

    def _run(self, faces: NDArray[np.uint8]) -> Vectors:
        """At most a block of faces; the graph is always fed a whole one, so that a sum has one order."""
        full = np.concatenate([faces, np.repeat(faces[-1:], self._block - len(faces), axis=0)])
        (given,) = self._runner.run({self.spec.input_name: _pixels(full, self.spec)}, [self.spec.output_name])
        flat = given.reshape(given.shape[:2]) if given.ndim == 4 and given.shape[2:] == (1, 1) else given
        if flat.ndim != 2 or len(flat) != self._block or not flat.shape[1]:
            raise UserError(
                f"gives {self.spec.output_name} of shape {list(given.shape)} for {self._block} pictures;"
                " an embedder gives [N, D] or [N, D, 1, 1]"
            )
        if not np.isfinite(flat).all():
            raise UserError("gives a vector that is not finite")
        vectors: Vectors = flat[: len(faces)].astype(np.float32, copy=False)
        return vectors


def open_embedder(
    path: str | os.PathLike[str],
    *,
    size: int | None = None,
    value_range: str | None = None,
    provider: str = "cpu",
    threads: int | None = None,
) -> Embedder:
    """Open an embedder's file and run it once as a trial.

    Args:
        path: an ONNX file with one float32 picture input, [N, 3, H, W] or [N, H, W, 3], and one output [N, D].
        size: side of its input in pixels, where neither its graph nor its metadata say.
        value_range: `LOW:HIGH`, what levels 0 and 255 are to it, where its metadata do not say; -1:1 unless given.
        provider: what runs it, by `genface.providers.find_provider`'s names.
        threads: how many batches run side by side; one per usable core unless given.

    Raises:
        UserError: naming the file, when it is none, is no embedder, leaves something open, or contradicts an answer.
    """
    path = Path(path)
    if not path.is_file():
        why = "is no file" if path.exists() else "no such file"
        raise UserError(f"{path}: {why}; give the .onnx file of a face recogniser (evalface embedder makes one)")
    graph = read_model(path)
    with _naming(path):
        found = find_provider(provider)
        return Embedder(path, graph, found, size=size, value_range=value_range, threads=side_by_side(found, threads))


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _metadata(session: Any) -> dict[str, str]:
    try:
        found: dict[str, str] = session.get_modelmeta().custom_metadata_map
    except UnicodeDecodeError as error:
        raise UserError(f"its metadata is damaged: it holds bytes that are not UTF-8 ({error})") from error
    return found


def _pixels(faces: NDArray[np.uint8], spec: EmbedderSpec) -> NDArray[np.float32]:
    """uint8 [N, H, H, 3] -> float32 as the graph wants it."""
    import torch

    from evalface.extractors.resize import resize_half_pixel

    resized = resize_half_pixel(torch.from_numpy(faces), spec.size, antialias=True).numpy()
    scaled = (resized - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
    arranged = scaled.transpose(0, 3, 1, 2) if spec.layout == "NCHW" else scaled
    return np.ascontiguousarray(arranged, dtype=np.float32)
