"""What every extractor promises, and how a network of torch keeps that promise quickly on a CPU."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from genface.cores import usable_cores


class Extractor(ABC):
    """Faces to features, one row each, independent of which faces share a block."""

    name: ClassVar[str]
    title: ClassVar[str]
    """For people."""
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
    """A network in float32: batch norms folded, channels last, several one-thread runs side by side.

    On a CPU, cache-sized batches on one thread each beat one large batch on all threads.
    """

    distance_name: str
    """What the Frechet distance in these features may be called."""
    batch_size = 8

    def __init__(self, network: nn.Module) -> None:
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        network = network.requires_grad_(False).eval().to(memory_format=torch.channels_last)
        self._network = network.to(self.device, torch.float32)
        self._workers = usable_cores() if self.device == "cpu" else 1
        self._pool: ThreadPoolExecutor | None = None

    @abstractmethod
    def _forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 [N, H, W, 3] -> float32 [N, d], both on the device."""

    def features(self, block: NDArray[np.uint8]) -> NDArray[np.float32]:
        batches = torch.split(torch.from_numpy(np.ascontiguousarray(block)), self.batch_size)
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
        # TF32 would keep ten bits of the mantissa, enough to move a distance's third digit.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return self._forward(batch.to(self.device)).cpu().numpy()


def fold_batch_norm(module: nn.Module, conv: str, norm: str) -> None:
    """Replace the convolution `conv` followed by the batch norm `norm` by one convolution; folded in float64."""
    folded = fuse_conv_bn_eval(getattr(module, conv).eval().double(), getattr(module, norm).eval().double())
    setattr(module, conv, folded.float())
    setattr(module, norm, nn.Identity())
