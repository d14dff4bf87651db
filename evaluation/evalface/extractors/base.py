"""What every extractor promises, and how one with a network keeps that promise quickly."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from evalface.extractors.precision import require
from evalface.extractors.runtimes import open_runtime
from genface.cores import usable_cores
from genface.providers import Precision

# A core's cache holds the activations of a few pictures; a GPU needs more to be busy.
_BATCH = {"cpu": 8, "cuda": 64}


class Extractor(ABC):
    """Faces to features, one row each, independent of which faces share a block."""

    name: ClassVar[str]
    title: str
    """For people."""
    distance_name: str
    """What the Frechet distance in these features may be called."""
    version: ClassVar[int]
    """Raised when the code changes a number, so that cached features are not taken for new ones."""
    protocol: str
    """How pixels reach the network, in words."""
    weights_sha256: str | None
    """SHA-256 of the weights' file; None where there are none."""
    dtype: type[np.generic] = np.float32
    device: str = "cpu"
    cached: ClassVar[bool] = True
    """False: the features cost no more than decoding the pictures, and are not worth the room on the disk."""

    @abstractmethod
    def features(self, block: NDArray[np.uint8]) -> NDArray[Any]:
        """uint8 [N, H, W, 3] -> `dtype` [N, d]."""

    def identity(self) -> dict[str, Any]:
        """Every setting of the extractor that can change a number; part of the cache key and of the report."""
        return {
            "name": self.name,
            "version": self.version,
            "protocol": self.protocol,
            "weights_sha256": self.weights_sha256,
            "precision": np.dtype(self.dtype).name,
            "device": self.device,
        }


class NetworkExtractor(Extractor):
    """A network without batch norms, run on small batches by several one-thread workers side by side.

    Each run has one order of sums, so a feature has the same bits whatever the block and however many the workers.
    Cache-sized batches on one thread each are also faster on a CPU than one large batch on all threads.
    """

    def __init__(self, network: nn.Module, side: int, precision: Precision, *, as_graph: bool) -> None:
        """`network`: float32 [N, 3, side, side] -> [N, d]; `as_graph`: ONNX Runtime may run it.

        Raises UserError for a precision that this machine does not have.
        """
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        require(precision, self.device)
        self.precision = precision
        self._workers = usable_cores() if self.device == "cpu" else 1
        self._runtime = open_runtime(
            network.requires_grad_(False).eval(),
            side,
            self.device,
            precision,
            batch=_BATCH[self.device],
            as_graph=as_graph,
        )
        self._pool: ThreadPoolExecutor | None = None

    @abstractmethod
    def in_fp32(self) -> NetworkExtractor:
        """The same extractor in fp32, against which a reduced precision is measured."""

    @abstractmethod
    def _prepare(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 [N, H, W, 3] -> float32 [N, side, side, 3] as the network wants it, both on the device."""

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "precision": self.precision, "runtime": self._runtime.name}

    def features(self, block: NDArray[np.uint8]) -> NDArray[np.float32]:
        batches = torch.split(torch.from_numpy(np.ascontiguousarray(block)), _BATCH[self.device])
        if self._workers == 1:
            return np.concatenate([self._run(batch) for batch in batches])
        threads = torch.get_num_threads()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._workers, "features", torch.set_num_threads, (1,))
        try:
            return np.concatenate(list(self._pool.map(self._run, batches)))
        finally:
            # A worker's setting is also the default of threads that start later.
            torch.set_num_threads(threads)

    def _run(self, batch: torch.Tensor) -> NDArray[np.float32]:
        with torch.inference_mode():
            return self._runtime.run(self._prepare(batch.to(self.device)).permute(0, 3, 1, 2))


def fold_batch_norm(module: nn.Module, conv: str, norm: str) -> None:
    """Replace the convolution `conv` followed by the batch norm `norm` by one convolution; folded in float64."""
    folded = fuse_conv_bn_eval(getattr(module, conv).eval().double(), getattr(module, norm).eval().double())
    setattr(module, conv, folded.float())
    setattr(module, norm, nn.Identity())
