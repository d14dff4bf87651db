"""Value coverage, pair coverage, total variation and entropy of attribute readings, beside a training set's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from attribute_classifier import HEADS, NUM_VALUES, head_columns
from numpy.typing import NDArray

CONFIDENCE = 0.8
"""A reading below this probability names no value: a smear must not count as whatever it resembles most."""
COVERED_FROM = 0.1
"""A value is covered from this share of its frequency in the training set."""


@dataclass(frozen=True, kw_only=True)
class AttributeReading:
    """How the values of one attribute are spread over a set of pictures, beside the training set."""

    coverage: float
    """Share of its values that are covered, 0 to 1."""
    total_variation: float
    """Half the L1 distance between both histograms of confident readings, 0 (alike) to 1 (nothing in common)."""
    entropy_ratio: float
    """Entropy of the histogram over that of the training set; 1 is as varied, 0 a single value."""
    confident: float
    """Share of pictures that were read with confidence."""


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """What a set of pictures covers of the training set; the first five over the legible attributes only."""

    values: float
    """Share of the attribute values that are covered."""
    pairs: float
    """Share of the pairs of values of two attributes that are covered."""
    total_variation: float
    """Mean over the attributes."""
    entropy_ratio: float
    """Mean over the attributes."""
    confident: float
    """Mean over the attributes."""
    missing: tuple[str, ...]
    """`attribute=value` of what is not covered."""
    attributes: Mapping[str, AttributeReading]
    """Every attribute, the illegible ones too."""


def confident_readings(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [N, NUM_VALUES] -> the same shape with a 1 at each attribute's likeliest value, 0 where in doubt."""
    chosen = np.zeros_like(probabilities)
    for columns in head_columns().values():
        head = probabilities[:, columns]
        chosen[:, columns] = (head == head.max(1, keepdims=True)) & (head >= CONFIDENCE)
    return chosen


def measure(
    found: NDArray[np.float32], training: NDArray[np.float32], legible: tuple[str, ...] = tuple(HEADS)
) -> Coverage:
    """Compare two sets of confident readings, 0 or 1 [N, NUM_VALUES]; neither their order nor a copy of all matters.

    The training set is read by the same classifier, so that what it mistakes in every picture weighs on both sides.
    `legible` names two attributes or more: pairs need them.
    """
    assert len(legible) >= 2
    shares, expected = joint_shares(found), joint_shares(training)
    # A value that the classifier never reads in the training set can't be asked for.
    covered = shares >= COVERED_FROM * expected
    askable = expected > 0
    columns = head_columns()
    attributes = {
        name: _attribute(np.diag(shares)[part], np.diag(expected)[part], np.diag(covered)[part], np.diag(askable)[part])
        for name, part in columns.items()
    }
    legible_columns = np.zeros(NUM_VALUES, dtype=bool)
    owner = np.repeat(np.arange(len(columns)), [len(values) for values in HEADS.values()])
    for name in legible:
        legible_columns[columns[name]] = True
    counted = askable & np.outer(legible_columns, legible_columns)
    singles = counted & np.eye(len(owner), dtype=bool)
    pairs = counted & (owner[:, None] < owner[None, :])
    names = [f"{name}={value}" for name, values in HEADS.items() for value in values]
    return Coverage(
        values=_share(covered, singles),
        pairs=_share(covered, pairs),
        total_variation=float(np.mean([attributes[name].total_variation for name in legible])),
        entropy_ratio=float(np.mean([attributes[name].entropy_ratio for name in legible])),
        confident=float(np.mean([attributes[name].confident for name in legible])),
        missing=tuple(names[index] for index in np.flatnonzero(np.diag(singles & ~covered))),
        attributes=attributes,
    )


def joint_shares(found: NDArray[np.float32]) -> NDArray[np.float64]:
    """[V, V]: the share of pictures that show both values; the diagonal holds each value's own share."""
    shares: NDArray[np.float64] = (found.T @ found).astype(np.float64) / len(found)
    return shares


def _attribute(
    shares: NDArray[np.float64],
    expected: NDArray[np.float64],
    covered: NDArray[np.bool_],
    askable: NDArray[np.bool_],
) -> AttributeReading:
    histogram, reference = _normalised(shares), _normalised(expected)
    return AttributeReading(
        coverage=_share(covered, askable),
        # Where nothing was read with confidence there is no histogram: the worst of each.
        total_variation=float(0.5 * np.abs(histogram - reference).sum()) if shares.any() else 1.0,
        entropy_ratio=_entropy(histogram) / max(_entropy(reference), 1e-12),
        confident=float(shares.sum()),
    )


def _share(covered: NDArray[np.bool_], counted: NDArray[np.bool_]) -> float:
    """Share of what counts that is covered; 0 where nothing counts."""
    return float(covered[counted].mean()) if counted.any() else 0.0


def _normalised(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    histogram: NDArray[np.float64] = shares / max(shares.sum(), 1e-12)
    return histogram


def _entropy(histogram: NDArray[np.float64]) -> float:
    seen = histogram[histogram > 0]
    return float(-(seen * np.log(seen)).sum()) + 0.0
