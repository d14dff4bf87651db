"""The whole score of one set of faces against another."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import scipy
import sklearn
import torch
from numpy.typing import NDArray

from evalface import __version__
from evalface.embedding import Embedding, joint_tsne
from evalface.extractors.choose import Choice, choose_extractor
from evalface.extractors.inception import Protocol
from evalface.extractors.pixels import Pixels
from evalface.features import SideFeatures, side_features
from evalface.frechet import frechet_distance, noise_floor
from evalface.images import Side, align, note_on_copies
from evalface.kernel import kernel_distance
from evalface.neighbours import equal_subsample, leave_one_out, precision_recall
from evalface.page import contact_sheet
from evalface.report import FrechetScore, Report, Scores, SideRecord
from genface import __version__ as genface_version
from genface.errors import UserError
from genface.photos import OnBroken, prepare_many
from genface.sources import open_source

MIN_PICTURES = 6
"""Precision and recall look at five neighbours."""
NEIGHBOURS_AT_MOST = 10_000
"""Pictures of each side in the neighbour scores, whose cost grows with the square; stated in every report."""
TSNE_AT_MOST = 2_000
_NEIGHBOURS_K = 5
_BIAS_WARNING_BELOW = 10_000
_SHEET_FACES = 36
_SEED_MAX = 2**32 - 1


def score(
    real: str | os.PathLike[str],
    fake: str | os.PathLike[str],
    *,
    extractor: Choice = "auto",
    weights: str | os.PathLike[str] | None = None,
    protocol: Protocol = "tf1",
    size: int | None = None,
    on_broken: OnBroken = "fail",
    seed: int = 0,
    tsne: bool = True,
    say: Callable[[str], None] | None = None,
    show_progress: bool = False,
) -> Report:
    """Score the faces in `fake` against those in `real`; each is a folder or a .zip.

    The real side is prepared as the fakes' manifest says (`evalface.images.align`). `say` receives each note for a
    person as it arises. Raises UserError for whatever the caller can mend: missing or broken input, contradicting
    preparations, weights that cannot be had, fewer than 6 pictures, a seed outside of 0 to 2^32 - 1.
    """
    if not 0 <= seed <= _SEED_MAX:
        raise UserError(f"seed must be a whole number from 0 to {_SEED_MAX}, not {seed!r}")
    notes: list[str] = []
    seconds: dict[str, float] = {}

    def tell(line: str) -> None:
        notes.append(line)
        if say:
            say(line)

    with open_source(real) as real_source, open_source(fake) as fake_source:
        for source in (real_source, fake_source):
            if len(source) < MIN_PICTURES:
                raise UserError(f"{source}: {len(source)} pictures; a score needs at least {MIN_PICTURES} on each side")
        network = choose_extractor(extractor, Path(weights) if weights else None, protocol, tell)
        pixels = Pixels()
        with _timed(seconds, "survey"):
            real_side, fake_side, said = align(real_source, fake_source, size)
        tell(said)
        if copies := note_on_copies(real_side, fake_side):
            tell(copies)
        with _timed(seconds, "features"):
            real_features, fake_features = (
                side_features(side, (network, pixels), on_broken, label, show_progress)
                for side, label in ((real_side, "real"), (fake_side, "fake"))
            )
        for side, found in ((real_side, real_features), (fake_side, fake_features)):
            for line in found.broken:
                tell(line)
            if len(found.names) < MIN_PICTURES:
                raise UserError(f"{side.source}: only {len(found.names)} pictures are whole; {MIN_PICTURES} are needed")
        n_real, n_fake = len(real_features.names), len(fake_features.names)
        if min(n_real, n_fake) < _BIAS_WARNING_BELOW:
            tell(
                f"N = {n_real:,} real and {n_fake:,} fake: the Frechet distance is biased upwards at small N, so"
                " compare it only with scores at the same N, and with the noise floor"
            )
        scores = _scores(real_features.values, fake_features.values, network.name, network.distance_name, seed, seconds)
        embedding: Embedding | None = None
        if tsne:
            with _timed(seconds, "tsne"):
                embedding = joint_tsne(
                    real_features.values[network.name], fake_features.values[network.name], seed, TSNE_AT_MOST
                )
            if embedding is None:
                tell("no t-SNE picture: the features of all pictures are equal")
        sheets = [_sheet(side, found, seed) for side, found in ((real_side, real_features), (fake_side, fake_features))]
        return Report(
            real=_record(real_side, real_features),
            fake=_record(fake_side, fake_features),
            extractor={"title": network.title, **network.identity()},
            scores=scores,
            settings={
                "seed": seed,
                "neighbours_at_most": NEIGHBOURS_AT_MOST,
                "neighbours_k": _NEIGHBOURS_K,
                "pixels": pixels.identity(),
                "on_broken": on_broken,
                "tsne": {"n_per_side": len(embedding.real), "perplexity": embedding.perplexity} if embedding else None,
            },
            notes=notes,
            seconds={name: round(value, 3) for name, value in seconds.items()},
            versions=_versions(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            embedding=embedding,
            real_names=real_features.names,
            fake_names=fake_features.names,
            real_sheet=sheets[0],
            fake_sheet=sheets[1],
        )


def _scores(
    real: dict[str, NDArray[Any]],
    fake: dict[str, NDArray[Any]],
    network: str,
    distance_name: str,
    seed: int,
    seconds: dict[str, float],
) -> Scores:
    x, y = real[network], fake[network]
    with _timed(seconds, "frechet"):
        frechet = FrechetScore(
            name=distance_name, value=frechet_distance(x, y), floor=noise_floor(x, seed), floor_n=len(x) // 2
        )
    with _timed(seconds, "kid"):
        kid = kernel_distance(x, y)
    i, j = equal_subsample(len(x), len(y), seed, NEIGHBOURS_AT_MOST)
    with _timed(seconds, "precision_recall"):
        manifold = precision_recall(x[i], y[j], _NEIGHBOURS_K)
    with _timed(seconds, "leave_one_out"):
        in_features = leave_one_out(x[i], y[j])
    with _timed(seconds, "leave_one_out_pixels"):
        in_pixels = leave_one_out(real[Pixels.name][i], fake[Pixels.name][j])
    return Scores(
        frechet=frechet,
        kid=kid,
        precision_recall=manifold,
        leave_one_out=in_features,
        leave_one_out_pixels=in_pixels,
    )


def _sheet(side: Side, found: SideFeatures, seed: int) -> bytes:
    chosen = np.random.default_rng(seed).choice(len(found.names), min(_SHEET_FACES, len(found.names)), replace=False)
    faces = prepare_many(side.source, side.preparation, [found.names[i] for i in chosen])
    return contact_sheet([face.pixels for face in faces if face.pixels is not None])


def _record(side: Side, found: SideFeatures) -> SideRecord:
    manifest = side.source.manifest
    return SideRecord(
        path=str(side.source),
        n=len(found.names),
        skipped=found.broken,
        contents_sha256=side.survey.sha256,
        preparation=side.preparation.to_dict() if side.preparation else None,
        size=side.size,
        # Lists are per picture; what describes the set as a whole is short.
        manifest={k: v for k, v in manifest.items() if not isinstance(v, list)} if manifest else None,
        features_from_cache=found.from_cache,
    )


def _versions() -> dict[str, str]:
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


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start
