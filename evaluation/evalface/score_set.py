"""The numbers of a report, as they stand in its JSON document."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

from evalface.all_scores import AllScores
from evalface.duplicates import Duplicates
from evalface.extrapolation import Extrapolation
from evalface.frechet_error import FrechetEstimate
from evalface.intervals import Interval
from evalface.kernel import KernelDistance
from evalface.memorisation import Memorisation
from evalface.one_nn import LeaveOneOut, PermutationTest
from evalface.prdc import DensityCoverage, PrecisionRecall


@dataclass(frozen=True, kw_only=True)
class FrechetScore:
    """The Frechet distance over all pictures of both sides; None stands for what statistics files cannot give."""

    name: str
    """FID only for the official Inception weights in fp32, and with the protocol where it is not `tf1`."""
    value: float
    standard_error: float | None = None
    floor: float | None = None
    """The distance between two disjoint random parts of the real side: what a perfect generator would score."""
    floor_n: int | None = None
    """Pictures in each part."""

    def interval(self) -> Interval | None:
        """Around the value at these numbers of pictures, whose bias it does not take away."""
        if self.standard_error is None:
            return None
        return FrechetEstimate(value=self.value, standard_error=self.standard_error).interval()


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Every score of a report. Between statistics files there is the Frechet distance alone, and the rest is None."""

    frechet: FrechetScore
    frechet_infinity: Extrapolation | None = None
    kid: KernelDistance | None = None
    precision_recall: PrecisionRecall | None = None
    density_coverage: DensityCoverage | None = None
    leave_one_out: LeaveOneOut | None = None
    """In the extractor's features."""
    leave_one_out_test: PermutationTest | None = None
    leave_one_out_pixels: LeaveOneOut | None = None
    leave_one_out_pixels_test: PermutationTest | None = None
    memorisation: Memorisation | None = None
    duplicates: Duplicates | None = None

    @classmethod
    def of(cls, found: AllScores, distance_name: str) -> Self:
        """Out of all scores of two sets of features; `distance_name` is what the extractor calls its distance."""
        return cls(
            frechet=FrechetScore(
                name=distance_name,
                value=found.frechet.value,
                standard_error=found.frechet.standard_error,
                floor=found.floor.value,
                floor_n=found.floor.n,
            ),
            frechet_infinity=found.frechet_infinity,
            kid=found.kid,
            precision_recall=found.precision_recall,
            density_coverage=found.density_coverage,
            leave_one_out=found.leave_one_out,
            leave_one_out_test=found.leave_one_out_test,
            leave_one_out_pixels=found.leave_one_out_pixels,
            leave_one_out_pixels_test=found.leave_one_out_pixels_test,
            memorisation=found.memorisation,
            duplicates=found.duplicates,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; the intervals stand beside the values that they belong to."""
        document = asdict(self)
        for name, score in (("frechet", self.frechet), ("frechet_infinity", self.frechet_infinity), ("kid", self.kid)):
            if score is not None:
                interval = score.interval()
                document[name]["interval"] = asdict(interval) if interval else None
        return document
