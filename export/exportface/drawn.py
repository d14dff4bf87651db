"""An ONNX graph drawn from as genface's default provider does it: one thread, blocks of one size."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from exportface.to_onnx import IMAGES, LATENT
from genface.providers import find_provider, open_session


class Drawn:
    """A graph from `to_onnx` in the session that genface opens; it has no file and no metadata yet."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Raises UserError when the provider refuses the graph."""
        provider = find_provider("cpu")
        self._session = open_session(model.SerializeToString(), provider)
        self.block = provider.block

    def draw(self, z: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Draw the pictures of latents, float32 [N, z_dim]: uint8 [N, H, W, 3]."""
        blocks = [z[start : start + self.block] for start in range(0, len(z), self.block)]
        return np.concatenate([self._session.run([IMAGES], {LATENT: block})[0] for block in blocks])
