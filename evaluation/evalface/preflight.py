"""What makes two sets of pictures incomparable, looked for before any feature is computed.

checked = preflight(real_side, fake_side)
checked.warnings         # sentences for a person
checked.to_dict()        # facts and warnings, for the report
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from evalface.images import Side
from evalface.inputs import AlignedSide
from evalface.looks import UNREADABLE
from evalface.side_facts import SideFacts, facts_of
from evalface.statistics_side import StatisticsSide

FEW = 1_000
"""Fewer pictures than this say little of a Frechet distance."""
_UNEQUAL = 2.0
_SHRUNK = 2.0
"""A picture that is made this many times smaller has averaged the traces of its compression away."""
_QUALITY_STEP = 5
_GRAY, _COLOURED = 0.9, 0.1
_DETAIL = 0.3
"""Ratio of the sides' fine detail below which one of them looks enlarged. Cats and people of 64 px enlarged twofold by
bilinear, bicubic or Lanczos resize have 0.09 to 0.19 of the detail of the originals; six generators had 0.45 to 1.6
times the detail of what they learned from."""


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """Facts of both sides, None for a side of statistics, and warnings of what makes a score meaningless or flatter."""

    real: SideFacts | None
    fake: SideFacts | None
    copies: int
    """Files of the fake side that are byte for byte files of the real one."""
    warnings: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def preflight(real: AlignedSide, fake: AlignedSide) -> Preflight:
    """Look at both sides. Reads every file once, if that was not done before, and decodes up to 64 of each side."""
    copies = 0
    warnings = list(_count_warnings(real, fake))
    facts = [facts_of(side) if isinstance(side, Side) else None for side in (real, fake)]
    for name, found in zip(("real", "fake"), facts, strict=True):
        if found is not None:
            warnings += [line for check in _OF_ONE for line in check(name, found)]
    real_facts, fake_facts = facts
    if isinstance(real, Side) and isinstance(fake, Side) and real_facts and fake_facts:
        copies, lines = _copies(real, fake)
        warnings += lines
        warnings += [line for compare in _OF_BOTH for line in compare(real_facts, fake_facts)]
    return Preflight(real=real_facts, fake=fake_facts, copies=copies, warnings=warnings)


def _count_warnings(real: AlignedSide, fake: AlignedSide) -> Iterator[str]:
    counts = [side.n if isinstance(side, StatisticsSide) else len(side.source) for side in (real, fake)]
    for name, n in zip(("real", "fake"), counts, strict=True):
        if n is not None and n < FEW:
            yield (
                f"only {n:,} {name} pictures: below {FEW:,} a Frechet distance is mostly bias and its noise is large"
            )
    known = [n for n in counts if n is not None]
    if len(known) == 2 and max(known) > _UNEQUAL * min(known):
        yield (
            f"{known[0]:,} real and {known[1]:,} fake pictures: the smaller side alone sets the bias of the Frechet"
            " distance; compare scores at equal numbers only"
        )


def _manifest_count(name: str, side: SideFacts) -> Iterator[str]:
    if side.said_n is not None and side.said_n != side.n:
        yield f"{side.path}: its manifest tells of {side.said_n:,} pictures, {side.n:,} are there"


def _transparency(name: str, side: SideFacts) -> Iterator[str]:
    if side.alpha:
        yield f"{side.alpha:,} of {side.n:,} {name} pictures can be transparent: they are laid over white"


def _palette(name: str, side: SideFacts) -> Iterator[str]:
    if count := side.modes.get("P", 0):
        yield f"{count:,} of {side.n:,} {name} pictures have a palette of at most 256 colours, which networks see"


def _enlargement(name: str, side: SideFacts) -> Iterator[str]:
    if side.enlarged:
        yield (
            f"{side.enlarged:,} of {side.n:,} {name} pictures are smaller than the faces made of them and are enlarged:"
            " they are blurred, and blurred fakes score better against blurred reals"
        )


def _repetition(name: str, side: SideFacts) -> Iterator[str]:
    if side.repeated:
        yield f"{side.repeated:,} of {side.n:,} {name} files are byte for byte another one of the same side"


def _compression(real: SideFacts, fake: SideFacts) -> Iterator[str]:
    lossy = [2 * side.lossy > side.n and side.shrunk < _SHRUNK for side in (real, fake)]
    if lossy[0] != lossy[1]:
        yield (
            f"real pictures are {_format(real)}, fake ones {_format(fake)}: networks see the traces of a lossy"
            " compression, so part of the score is the file format's; keep both sides in one lossless format"
        )
    elif (
        all(lossy)
        and real.jpeg_quality
        and fake.jpeg_quality
        and abs(real.jpeg_quality[1] - fake.jpeg_quality[1]) > _QUALITY_STEP
    ):
        yield f"real pictures are {_format(real)}, fake ones {_format(fake)}: part of the score is the compression's"


def _format(side: SideFacts) -> str:
    name = next(iter(side.formats), "unreadable")
    return f"{name} of quality about {side.jpeg_quality[1]}" if side.jpeg_quality else name


def _colour(real: SideFacts, fake: SideFacts) -> Iterator[str]:
    if max(real.gray, fake.gray) >= _GRAY and min(real.gray, fake.gray) <= _COLOURED:
        gray, coloured = ("real", "fake") if real.gray > fake.gray else ("fake", "real")
        yield f"the {gray} pictures are grayscale, the {coloured} ones have colours: the score says little else"


def _fine_detail(real: SideFacts, fake: SideFacts) -> Iterator[str]:
    if real.detail is None or fake.detail is None:
        return
    if min(real.detail, fake.detail) < _DETAIL * max(real.detail, fake.detail):
        less, more = ("real", "fake") if real.detail < fake.detail else ("fake", "real")
        yield (
            f"the {less} pictures have {min(real.detail, fake.detail) / max(real.detail, fake.detail):.0%} of the fine"
            f" detail of the {more} ones, as pictures have that were enlarged; score at the size that they were made in"
        )


def _copies(real: Side, fake: Side) -> tuple[int, list[str]]:
    reals, fakes = (Counter(digest for digest in side.survey.digests if digest != UNREADABLE) for side in (real, fake))
    copies = sum(count for digest, count in fakes.items() if digest in reals)
    if fakes and reals == fakes:
        return copies, [f"{real.source} and {fake.source} hold the same files: no score of them is of a generator"]
    if copies:
        return copies, [
            f"{copies:,} of {fakes.total():,} files of {fake.source} are byte for byte files of {real.source}"
        ]
    return 0, []


_OF_ONE: tuple[Callable[[str, SideFacts], Iterator[str]], ...] = (
    _manifest_count,
    _transparency,
    _palette,
    _enlargement,
    _repetition,
)
_OF_BOTH: tuple[Callable[[SideFacts, SideFacts], Iterator[str]], ...] = (_compression, _colour, _fine_detail)
