"""All scores of one set of features against another, in one call."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalface.duplicates import Duplicates, duplicates
from evalface.extrapolation import Extrapolation, extrapolate
from evalface.frechet import NoiseFloor, noise_floor_at
from evalface.frechet_error import FrechetEstimate, frechet_estimate
from evalface.graph import neighbour_graph
from evalface.kernel import KernelDistance, kernel_distance
from evalface.memorisation import Memorisation, memorisation, ratios
from evalface.neighbours import equal_subsample
from evalface.noteworthy import Noteworthy, noteworthy
from evalface.one_nn import LeaveOneOut, PermutationTest, leave_one_out, permutation_test
from evalface.prdc import DensityCoverage, PrecisionRecall, density_coverage, precision_recall
from genface.errors import UserError

K = 5
NEIGHBOURS_AT_MOST = 10_000
"""Pictures of each side in the scores of neighbours, whose cost grows with the square."""
_FEWEST = 8


@dataclass(frozen=True, kw_only=True)
class AllScores:
    """Every score; those of neighbours on `n_per_side` pictures of each side, the others on all."""

    n_real: int
    n_fake: int
    n_per_side: int
    seed: int
    frechet: FrechetEstimate
    floor: NoiseFloor
    frechet_infinity: Extrapolation
    kid: KernelDistance
    leave_one_out: LeaveOneOut
    leave_one_out_test: PermutationTest
    leave_one_out_pixels: LeaveOneOut | None
    """In raw pixels, where these were given."""
    leave_one_out_pixels_test: PermutationTest | None
    precision_recall: PrecisionRecall
    density_coverage: DensityCoverage
    memorisation: Memorisation
    duplicates: Duplicates
    noteworthy: Noteworthy
    """Rows of the whole sets that were given."""
    seconds: dict[str, float] = field(compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, with the intervals and without the seconds and the rows of pictures."""
        document = {key: value for key, value in asdict(self).items() if key not in ("seconds", "noteworthy")}
        for name, score in (("frechet", self.frechet), ("frechet_infinity", self.frechet_infinity), ("kid", self.kid)):
            document[name]["interval"] = asdict(score.interval())
        return document


def all_scores(
    real: NDArray[Any],
    fake: NDArray[Any],
    *,
    pixels_real: NDArray[np.uint8] | None = None,
    pixels_fake: NDArray[np.uint8] | None = None,
    seed: int = 0,
    k: int = K,
    at_most: int = NEIGHBOURS_AT_MOST,
) -> AllScores:
    """Score features fake [m, d] against real [n, d] (float32, float64 or uint8), both n and m at least 8 and over k.

    `pixels_real` [n, p] and `pixels_fake` [m, p] are the same pictures, row by row, for LOO-1NN in pixels. `seed` draws
    the subsamples, halves and permutations. Raises UserError for fewer pictures, for sets that do not belong together,
    and for NaN and infinity.
    """
    _check(real, fake, pixels_real, pixels_fake, k, at_most)
    seconds: dict[str, float] = {}
    with _timed(seconds, "frechet"):
        frechet = frechet_estimate(real, fake)
    with _timed(seconds, "noise_floor"):
        floor = noise_floor_at(real, len(fake), seed)
    with _timed(seconds, "frechet_infinity"):
        infinity = extrapolate(real, fake, sampling_error=frechet.standard_error, seed=seed)
    with _timed(seconds, "kid"):
        kid = kernel_distance(real, fake)
    i, j = equal_subsample(len(real), len(fake), seed, at_most)
    with _timed(seconds, "neighbours"):
        graph = neighbour_graph(real[i], fake[j], k=k, seed=seed)
        found = ratios(graph)
    with _timed(seconds, "leave_one_out"):
        in_features = leave_one_out(graph)
        test = permutation_test(graph, in_features, seed=seed)
    in_pixels, test_pixels = None, None
    if pixels_real is not None and pixels_fake is not None:
        with _timed(seconds, "leave_one_out_pixels"):
            pixel_graph = neighbour_graph(pixels_real[i], pixels_fake[j], k=1)
            in_pixels = leave_one_out(pixel_graph)
            test_pixels = permutation_test(pixel_graph, in_pixels, seed=seed)
    pictures = noteworthy(graph, found)
    return AllScores(
        n_real=len(real),
        n_fake=len(fake),
        n_per_side=len(i),
        seed=seed,
        frechet=frechet,
        floor=floor,
        frechet_infinity=infinity,
        kid=kid,
        leave_one_out=in_features,
        leave_one_out_test=test,
        leave_one_out_pixels=in_pixels,
        leave_one_out_pixels_test=test_pixels,
        precision_recall=precision_recall(graph),
        density_coverage=density_coverage(graph),
        memorisation=memorisation(graph, found),
        duplicates=duplicates(graph),
        noteworthy=replace(
            pictures,
            easiest_fakes=j[pictures.easiest_fakes],
            uncovered_reals=i[pictures.uncovered_reals],
            copying_fakes=j[pictures.copying_fakes],
            copied_reals=i[pictures.copied_reals],
        ),
        seconds=seconds,
    )


def _check(
    real: NDArray[Any],
    fake: NDArray[Any],
    pixels_real: NDArray[np.uint8] | None,
    pixels_fake: NDArray[np.uint8] | None,
    k: int,
    at_most: int,
) -> None:
    fewest = max(_FEWEST, k + 1)
    if real.ndim != 2 or real.shape[1:] != fake.shape[1:] or min(len(real), len(fake)) < fewest:
        raise UserError(
            f"scores need two sets of at least {fewest} pictures with features of one width, not {real.shape} and"
            f" {fake.shape}"
        )
    if k < 1 or at_most < fewest:
        raise UserError(f"k = {k} and at most {at_most} pictures: k must be at least 1, and the pictures {fewest}")
    if (pixels_real is None) != (pixels_fake is None):
        raise UserError("pixels of one side only: give those of both sides, or of neither")
    for name, features, pixels in (("real", real, pixels_real), ("fake", fake, pixels_fake)):
        if pixels is not None and len(pixels) != len(features):
            raise UserError(f"{len(pixels)} rows of {name} pixels beside {len(features)} of features")


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start
