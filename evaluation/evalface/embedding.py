"""The t-SNE picture: real and generated faces in one joint map.

Two separate fits cannot be laid over each other, so both sides are embedded together, in equal numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalface.neighbours import equal_subsample

_COMPONENTS = 50
_ITERATIONS = 1000


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """Places in the plane of equally many reals and fakes."""

    real: NDArray[np.float32]
    """float32 [n, 2]."""
    fake: NDArray[np.float32]
    """float32 [n, 2]."""
    real_index: NDArray[np.int64]
    """Rows of the features that were embedded, [n]."""
    fake_index: NDArray[np.int64]
    perplexity: float
    seed: int


def joint_tsne(real: NDArray[Any], fake: NDArray[Any], seed: int, at_most: int = 2000) -> Embedding | None:
    """Embed up to `at_most` pictures of each side: PCA to 50, then t-SNE (van der Maaten and Hinton 2008).

    real [n, d], fake [m, d], at least 6 each. None where all features are equal: there is nothing to lay out.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    real_index, fake_index = equal_subsample(len(real), len(fake), seed, at_most)
    both = np.concatenate([real[real_index], fake[fake_index]]).astype(np.float32)
    n = len(real_index)
    perplexity = min(30.0, (2 * n - 1) / 3)
    # Not left to the libraries: without variance PCA divides by zero, and t-SNE crashes the process on the NaN.
    if not np.ptp(both, axis=0).max() > 0:
        return None
    components = min(_COMPONENTS, *both.shape)
    reduced = PCA(components, svd_solver="covariance_eigh", random_state=seed).fit_transform(both)
    if not (np.isfinite(reduced).all() and reduced[:, 0].std() > 0):
        return None
    # t-SNE's thousands of short parallel loops gain little from threads, lose up to tenfold when another process wants
    # the cores (they wait spinning), and the order of their sums would change the picture.
    with threadpool_limits(1):
        places = TSNE(
            perplexity=perplexity, init="pca", learning_rate="auto", max_iter=_ITERATIONS, random_state=seed
        ).fit_transform(reduced)
    return Embedding(
        real=places[:n],
        fake=places[n:],
        real_index=real_index,
        fake_index=fake_index,
        perplexity=perplexity,
        seed=seed,
    )


def to_csv(embedding: Embedding, real_names: Sequence[str], fake_names: Sequence[str]) -> str:
    """One line per embedded picture: side, file name, x, y."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["side", "name", "x", "y"])
    for side, names, index, places in (
        ("real", real_names, embedding.real_index, embedding.real),
        ("fake", fake_names, embedding.fake_index, embedding.fake),
    ):
        writer.writerows([side, names[i], f"{x:.4f}", f"{y:.4f}"] for i, (x, y) in zip(index, places, strict=True))
    return text.getvalue()


def to_png(embedding: Embedding, feature_title: str) -> bytes:
    """The map as a PNG: points of both sides in shuffled order, so that neither side covers the other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    n = len(embedding.real)
    # Blue and vermilion of Okabe and Ito's palette: apart for every kind of colour vision.
    sides = (("real", "#0072B2"), ("generated", "#D55E00"))
    order = np.random.default_rng(embedding.seed).permutation(2 * n)
    places = np.concatenate([embedding.real, embedding.fake])[order]
    colours = np.repeat([colour for _, colour in sides], n)[order]
    figure = Figure(figsize=(7, 7.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.scatter(
        places[:, 0], places[:, 1], s=max(4.0, min(40.0, 24000 / n / 2)) * 0.6, c=list(colours), alpha=0.6, lw=0
    )
    axes.set(xticks=[], yticks=[])
    # A wide map gets more room, not white bands.
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_title(f"Real and generated faces, joint t-SNE of {feature_title} features", fontsize=11)
    axes.set_xlabel(
        f"{n:,} of each side, perplexity {embedding.perplexity:.0f}, seed {embedding.seed}."
        " Distances between far groups mean little.",
        fontsize=9,
    )
    axes.legend(
        handles=[Line2D([], [], marker="o", linestyle="", color=colour, label=name) for name, colour in sides],
        loc="upper right",
        fontsize=9,
    )
    png = io.BytesIO()
    figure.savefig(png, format="png")
    return png.getvalue()
