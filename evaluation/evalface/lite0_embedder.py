"""EfficientNet-Lite0 as an embedder: no recogniser of faces, but installed with evalface, and another one than dlib's.

A mixer that decodes embeddings must be judged by an embedder that it was not trained on, so two are needed.
"""

from __future__ import annotations

import onnx

from evalface.embedder_spec import embedder_file
from evalface.extractors.lite0 import MEAN, SIDE, STD, WEIGHTS_SHA256, folded_network
from evalface.extractors.onnx_graph import to_onnx

TITLE = "EfficientNet-Lite0 features"
LICENCE = "Apache-2.0"


def embedder() -> bytes:
    """The embedder's file: a face of 224 px to 1280 numbers. Raises UserError for unknown weights."""
    return embedder_file(
        onnx.load_from_string(to_onnx(folded_network().eval(), SIDE)),
        {"size": SIDE, "mean": [MEAN] * 3, "std": [STD] * 3, "layout": "NCHW", "title": TITLE},
        licence=LICENCE,
        weights_sha256=WEIGHTS_SHA256,
    )
