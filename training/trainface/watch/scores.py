"""KID and Frechet distance while a run trains, by the code that scores the finished archive."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from evalface.extractors.base import Extractor
from genface.errors import UserError
from trainface.config import Config
from trainface.ema import EmaBank
from trainface.watch.measures import coarse

if TYPE_CHECKING:
    from evalface.frechet import Gaussian

REALS_AT_MOST = 2048
_COARSE_SIDE = 16
_BLOCK = 32
_SECONDS_BETWEEN_LINES = 10.0

Draw = Callable[[nn.Module, int], NDArray[np.uint8]]
"""(generator, n) -> uint8 [n, H, W, 3], of the same latents whichever the generator."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """How far generated faces are from real ones, in the features of one extractor."""

    kid: float
    """Unbiased kernel distance (Binkowski et al. 2018): comparable between any numbers of images, may be below 0."""
    kid_error: float
    """Its standard error."""
    frechet: float
    """Biased upwards at few images: comparable at equal numbers only."""


class Scorer:
    """Scores generated faces against a fixed choice of the real ones.

    Nothing is loaded or computed before the first score. No random stream of the training moves.
    """

    def __init__(
        self,
        reals: NDArray[np.uint8],
        eligible: NDArray[np.int64],
        config: Config,
        device: torch.device,
        say: Callable[[str], None],
    ) -> None:
        """`reals` uint8 [N, H, W, 3], may be a memory map; `eligible`: which of them stand for the data.

        Lines for people go to `say`.
        """
        self._reals, self._device, self._say = reals, device, say
        # One choice for every run on these faces, whatever its seed, so that runs can be compared.
        order = np.random.default_rng(0).permutation(eligible)
        self._chosen = np.sort(order[:REALS_AT_MOST])
        self._size = config.size
        self._extractor: Extractor | None = None
        self._real_side: tuple[NDArray[Any], Gaussian] | None = None

    def score(self, images: NDArray[np.uint8]) -> Score:
        """Score uint8 [N, H, W, 3], N at least 2. The first call computes the features of the reals, too."""
        from evalface.frechet import Gaussian
        from evalface.kernel import kernel_distance

        assert images.shape[1:3] == (self._size, self._size), "fakes are scored at the size of the reals"
        if self._real_side is None:
            real_features = self._features(self._reals, self._chosen, "real")
            self._real_side = real_features, Gaussian.of(real_features)
        real_features, real_gaussian = self._real_side
        fake_features = self._features(images, np.arange(len(images)), "generated")
        kernel = kernel_distance(real_features, fake_features)
        return Score(
            kid=kernel.value,
            kid_error=kernel.standard_error,
            frechet=real_gaussian.distance_to(Gaussian.of(fake_features)),
        )

    def _features(self, images: NDArray[np.uint8], chosen: NDArray[np.int64], kind: str) -> NDArray[Any]:
        """Features [len(chosen), d], with a line of progress every ten seconds."""
        extractor = self._extractor = self._extractor or _load_extractor(self._say)
        rows: list[NDArray[Any]] = []
        last_line = time.monotonic()
        with _current(self._device):
            for start in range(0, len(chosen), _BLOCK):
                rows.append(extractor.features(np.asarray(images[chosen[start : start + _BLOCK]])))
                done = min(start + _BLOCK, len(chosen))
                if time.monotonic() - last_line > _SECONDS_BETWEEN_LINES:
                    last_line = time.monotonic()
                    self._say(f"scoring: {extractor.title} features of {done} of {len(chosen)} {kind} faces")
        return np.concatenate(rows)


class CoarsePixels(Extractor):
    """Pixels of faces averaged down to 16 px, in [-1, 1]; raw ones would be wider than there are faces."""

    name = "coarse-pixels"
    title = "coarse pixel"
    version = 1
    protocol = f"area mean to {_COARSE_SIDE} px, x / 127.5 - 1"
    weights_sha256 = None
    cached = False

    def features(self, block: NDArray[np.uint8]) -> NDArray[np.float32]:
        return coarse(block, _COARSE_SIDE)


def choose(bank: EmaBank, draw: Draw, scorer: Scorer, n: int) -> dict[str, Score]:
    """Score `n` images of every averaged generator; the one of the lowest KID becomes the bank's best."""
    scores = {key: scorer.score(draw(model, n)) for key, model in bank.models.items()}
    bank.best_key = min(scores, key=lambda key: scores[key].kid)
    return scores


def _load_extractor(say: Callable[[str], None]) -> Extractor:
    """EfficientNet-Lite0; coarse pixels where its weights can't be had, since no run should end for want of a score."""
    # Building a network draws its first weights from torch's global stream, which belongs to the training.
    with torch.random.fork_rng(devices=[]):
        try:
            from evalface.extractors.lite0 import Lite0

            return Lite0()
        except (ImportError, OSError, UserError) as error:
            say(f"scores compare faces of {_COARSE_SIDE} px as they are, not by EfficientNet-Lite0 ({error})")
            return CoarsePixels()


def _current(device: torch.device) -> AbstractContextManager[Any]:
    """Let extractors, which ask for `cuda` without a number, run on the run's own GPU."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
