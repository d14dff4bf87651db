"""What a report records of its two sides, of its settings and of the machine's libraries."""

from __future__ import annotations

import hashlib
import platform
from typing import Any

import numpy as np
import PIL
import scipy
import sklearn
import torch

from evalface import __version__
from evalface.all_scores import NEIGHBOURS_AT_MOST, K
from evalface.duplicates import NEAR
from evalface.embedding import Embedding
from evalface.extractors.pixels import Pixels
from evalface.extrapolation import SIZES
from evalface.features import SideFeatures
from evalface.gaussian_file import KIND
from evalface.images import Side
from evalface.intervals import LEVEL
from evalface.memorisation import RATIO, SIGNIFICANCE
from evalface.one_nn import PERMUTATIONS
from evalface.report import SideKind, SideRecord
from evalface.statistics_side import StatisticsSide
from genface import __version__ as genface_version
from genface.photos import DECODING_VERSION, OnBroken


def pictures_record(side: Side, found: SideFeatures, kind: SideKind) -> SideRecord:
    """A side of pictures as it was scored."""
    manifest = side.source.manifest
    return SideRecord(
        path=str(side.source),
        kind=kind,
        n=len(found.names),
        skipped=found.broken,
        contents_sha256=side.survey.sha256,
        preparation=side.preparation.to_dict() if side.preparation else None,
        record=side.record.to_dict() if side.record else None,
        size=side.size,
        # Lists are per picture; what describes the set as a whole is short.
        manifest={k: v for k, v in manifest.items() if not isinstance(v, list)} if manifest else None,
        features_from_cache=found.from_cache,
    )


def statistics_record(side: StatisticsSide) -> SideRecord:
    """A side of which only mean and covariance are known."""
    # The mean stands in the file as it is; the covariance of merged parts depends on the order of sums.
    contents = hashlib.sha256(f"{side.n} ".encode() + side.statistics.gaussian.mu.tobytes()).hexdigest()
    return SideRecord(
        path=str(side),
        kind="statistics",
        n=side.n,
        skipped=[],
        contents_sha256=contents,
        preparation=None,
        record=side.record.to_dict() if side.record else None,
        size=side.record.size if side.record else None,
        manifest={"kind": KIND, "form": side.statistics.form} if side.statistics.extractor else None,
        features_from_cache=False,
    )


def settings_record(*, seed: int, on_broken: OnBroken, embedding: Embedding | None) -> dict[str, Any]:
    """What can change a number beside the sides and the extractor."""
    return {
        "seed": seed,
        "on_broken": on_broken,
        "decoding": DECODING_VERSION,
        "neighbours_k": K,
        "neighbours_at_most": NEIGHBOURS_AT_MOST,
        "permutations": PERMUTATIONS,
        "extrapolation_sizes": SIZES,
        "interval_level": LEVEL,
        "copy_ratio": RATIO,
        "copy_significance": SIGNIFICANCE,
        "near_duplicate": NEAR,
        "pixels": Pixels().identity(),
        "tsne": {"n_per_side": len(embedding.real), "perplexity": embedding.perplexity} if embedding else None,
    }


def versions() -> dict[str, str]:
    """Of Python and of the libraries that compute."""
    return {
        "evalface": __version__,
        "genface": genface_version,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
        "pillow": PIL.__version__,
    }
