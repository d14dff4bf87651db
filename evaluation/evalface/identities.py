"""Whom a picture shows, by its file's name, and which pictures stand for whom in a score of resemblance."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from genface.errors import UserError

_NUMBERED = re.compile(r"(.+)_\d{4}")


def identity_of(name: str) -> str:
    """Whom a picture shows, by its path inside its set: `x/Aaron_Eckhart_0001.jpg` -> `Aaron_Eckhart`.

    A file without such a number is an identity of its own.
    """
    found = _NUMBERED.fullmatch(PurePosixPath(name).stem)
    return found[1] if found else name


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Which pictures of a set play which part; a picture is its index in the set."""

    identities: tuple[str, ...]
    """Of every picture of the set."""
    pairs: tuple[tuple[int, int], ...]
    """Parents: pictures of two different persons, no two persons together twice."""
    random: tuple[int, ...]
    """Faces to compare with, one a person."""
    others: tuple[tuple[int, int], ...]
    """A parent, and another picture of the same person."""

    @property
    def pictures(self) -> list[int]:
        """Every picture that has a part, once, in order."""
        return sorted({*self.random, *(one for two in (*self.pairs, *self.others) for one in two)})


def cast(
    names: Sequence[str], held_out: Collection[str] | None, *, pairs: int, random: int, others: int, seed: int
) -> Cast:
    """Draw who is mixed with whom, and whom that is compared with.

    One picture stands for each person, drawn by `seed`. Parents go through all persons before one comes again.

    Args:
        names: of the pictures of the set.
        held_out: identities of whom parents are taken; None for all.
        pairs: how many to draw, at least 1.
        random: faces to compare with, at most; the set may have fewer persons.
        others: second pictures of parents, at most.
        seed: of every draw.

    Raises:
        UserError: where the set has too few such persons for so many pairs.
    """
    rng = np.random.default_rng(seed)
    identities = tuple(identity_of(name) for name in names)
    pictures: dict[str, list[int]] = {}
    for index, identity in enumerate(identities):
        pictures.setdefault(identity, []).append(index)
    # The order must not depend on that of the files.
    shuffled = {identity: rng.permutation(pictures[identity]).tolist() for identity in sorted(pictures)}
    parents = [identity for identity in shuffled if held_out is None or identity in held_out]
    possible = len(parents) * (len(parents) - 1) // 2
    if pairs > possible:
        whom = "persons" if held_out is None else "persons that the mixer has not learned from"
        raise UserError(
            f"has pictures of {len(parents):,} {whom}, who make {possible:,} pairs, not {pairs:,}: take fewer by"
            " --pairs, or the pictures that it was trained on, under the names that they had then"
        )
    couples = _couples(len(parents), pairs, rng)
    chosen = rng.permutation(list(shuffled))[:random]
    mixed = dict.fromkeys(parents[i] for two in couples for i in two)
    seconds = [identity for identity in mixed if len(shuffled[identity]) > 1][:others]
    return Cast(
        identities=identities,
        pairs=tuple((shuffled[parents[i]][0], shuffled[parents[j]][0]) for i, j in couples),
        random=tuple(shuffled[identity][0] for identity in chosen.tolist()),
        others=tuple((shuffled[identity][0], shuffled[identity][1]) for identity in seconds),
    )


def _couples(persons: int, count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """`count` different couples of `persons`: every person once, then every person again, and so on."""
    found: dict[frozenset[int], tuple[int, int]] = {}
    while len(found) < count:
        order = rng.permutation(persons).tolist()
        for one, other in zip(order[::2], order[1::2], strict=False):
            found.setdefault(frozenset((one, other)), (one, other))
    return list(found.values())[:count]
