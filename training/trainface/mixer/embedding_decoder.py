"""A decoder that learns to draw the face of a ready-made embedding."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainface.data.dataset import FaceSet
from trainface.mixer.config import MixerConfig
from trainface.mixer.embeddings import Embeddings
from trainface.mixer.networks import build_decoder
from trainface.mixer.task import MixerTask, place
from trainface.step import Stats
from trainface.supervised.task import Networks, Turn


class EmbeddingTask(MixerTask):
    """Cole et al. 2017, "Synthesizing normalized faces from facial identity features", without the normalising."""

    def __init__(self, config: MixerConfig, faces: FaceSet, embeddings: Embeddings, device: torch.device) -> None:
        self._embeddings = embeddings
        self._decoder = build_decoder(config)
        # [2, N, D]: the faces as they are, then mirrored.
        self._table = torch.from_numpy(embeddings.rows).to(device)
        super().__init__(config, faces, device, {"decoder": place(self._decoder, device)})

    def step(self, turn: Turn) -> Stats:
        batch = self.batches.draw(turn.cur_nimg, turn.rng)
        with turn.autocast():
            raw = self._decoder.raw(self._table[batch.flipped.long(), batch.indices.to(self.device)])
        loss, stats = self.objective.weigh(raw, batch.images, self._decoder, turn)
        return stats | turn.descend("mixer", loss)

    def encode(self, networks: Networks, indices: NDArray[np.int64]) -> Tensor:
        return self._table[0, torch.from_numpy(indices).to(self.device)]

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"embedder": self._embeddings.facts}

    def identity(self) -> dict[str, str]:
        return super().identity() | {"embedder": self._embeddings.key}
