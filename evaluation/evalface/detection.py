"""In what share of the pictures of each side a cascade finds a face: a judge that neither side was made to please.

What is found are faces that fill their picture, frontal and upright, as those of a data set do. The finder is the one
that cuts out training faces (`genface.face_finder`); here every picture is brought to one size first, whatever its own,
and only boxes count that are at least `LEAST_SHARE` as wide as the picture, since small ones are seen in any texture.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import stats
from scipy.stats.contingency import relative_risk

from evalface.intervals import LEVEL, Interval
from genface.face_finder import Subject, find_face, finder_facts

Faces = Literal["human", "cat"]
"""Whose faces are looked for."""

KIND = "evalface-detection"
SCHEMA_VERSION = 1
SIDE = 128
"""Pixels of the side to which every picture is brought before a face is looked for."""
LEAST_SHARE = 0.4
"""Side of the smallest box that counts as a face, as a share of the picture's."""

_SUBJECTS: dict[Faces, Subject] = {"human": "face", "cat": "cat-face"}


def sees_face(pixels: NDArray[np.uint8], faces: Faces) -> bool:
    """Whether a face is found in a square picture, uint8 [H, H, 3], RGB; the same in whatever thread.

    Raises UserError when OpenCV is not installed, or is one without cascades.
    """
    picture = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return find_face(picture, _SUBJECTS[faces], least_share=LEAST_SHARE) is not None


def detector_facts(faces: Faces) -> dict[str, Any]:
    """All that decides whether a face is found, in plain JSON types; raises UserError as `sees_face` does."""
    return {
        "faces": faces,
        **finder_facts(_SUBJECTS[faces]),
        "side": SIDE,
        "resample": "bicubic",
        "least_share": LEAST_SHARE,
    }


@dataclass(frozen=True, kw_only=True)
class Share:
    """In how many of some pictures a face was found."""

    found: int
    n: int
    """Pictures looked at, at least 1."""

    @property
    def value(self) -> float:
        """The share, 0 to 1."""
        return self.found / self.n

    def interval(self) -> Interval:
        """Wilson's (1927), which stays inside 0 to 1 and does not shrink to nothing at either end."""
        found = stats.binomtest(self.found, self.n).proportion_ci(LEVEL, method="wilson")
        return Interval(low=float(found.low), high=float(found.high))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"found": self.found, "n": self.n, "value": self.value, "interval": asdict(self.interval())}


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Both sides, and how often a face is found in the fakes for every one found in as many reals."""

    real: Share
    fake: Share

    @property
    def ratio(self) -> float | None:
        """The fakes' share by the reals'; None where no real shows a face."""
        return self.fake.value / self.real.value if self.real.found else None

    def ratio_interval(self) -> Interval | None:
        """Of the ratio, by the delta method on its logarithm (Katz et al. 1978).

        None where that has no width or no end: nothing found on a side, or a face in every picture of both.
        """
        real, fake = self.real, self.fake
        if not (real.found and fake.found) or (real.found, fake.found) == (real.n, fake.n):
            return None
        found = relative_risk(fake.found, fake.n, real.found, real.n).confidence_interval(LEVEL)
        return Interval(low=float(found.low), high=float(found.high))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        interval = self.ratio_interval()
        return {
            "real": self.real.to_dict(),
            "fake": self.fake.to_dict(),
            "ratio": {"value": self.ratio, "interval": asdict(interval) if interval else None},
        }


@dataclass(frozen=True, kw_only=True)
class LookedAt:
    """The pictures of one side in which faces were looked for."""

    path: str
    kind: Literal["pictures", "generator"]
    chosen: str
    """Which of the side's pictures these are."""
    n: int
    of: int
    """Pictures that the side has."""
    skipped: list[str]
    """Lines that tell which of the chosen ones were left out."""
    contents_sha256: str
    """Of the chosen pictures in their order, whatever their names."""
    preparation: dict[str, Any] | None
    """What was done to the pictures here; None: used as they are."""
    record: dict[str, Any] | None
    """The rule that made the faces, applied here or before, as far as anything tells it."""
    size: int
    manifest: dict[str, Any] | None
    """What the set's own manifest says as a whole (model, seed, licence ...)."""


@dataclass(frozen=True, kw_only=True)
class Detection:
    """The finished record: both shares with every setting that can change them."""

    shares: Shares
    real: LookedAt
    fake: LookedAt
    detector: dict[str, Any]
    """`detector_facts`; the same for both sides."""
    settings: dict[str, Any]
    notes: list[str]
    versions: dict[str, str]
    created: str

    def document(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "kind": KIND,
            "schema_version": SCHEMA_VERSION,
            "created": self.created,
            "scores": self.shares.to_dict(),
            "real": asdict(self.real),
            "fake": asdict(self.fake),
            "detector": self.detector,
            "settings": self.settings,
            "notes": self.notes,
            "versions": self.versions,
        }
