"""Which extractor scores: the one that was asked for, or the best whose weights are on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from evalface.extractors import inception_weights
from evalface.extractors.base import NetworkExtractor
from evalface.extractors.inception import Inception, Protocol
from evalface.extractors.lite0 import Lite0
from genface.errors import UserError

Choice = Literal["auto", "inception", "lite0"]


def choose_extractor(
    choice: Choice, weights: Path | None, protocol: Protocol, say: Callable[[str], None]
) -> NetworkExtractor:
    """Build the extractor; what a person must know about the choice goes to `say`.

    `auto` takes Inception if `weights` is given or the official file is on this machine, else EfficientNet-Lite0, and
    downloads nothing. `inception` downloads what is missing. Raises UserError for choices that cannot be had.
    """
    if choice not in get_args(Choice):
        raise UserError(f"unknown extractor {choice!r}; known: {', '.join(get_args(Choice))}")
    if choice == "lite0":
        if weights is not None or protocol != "tf1":
            raise UserError(
                "--weights and --protocol belong to Inception; leave them out or take --extractor inception"
            )
        return Lite0()
    if weights is not None and not weights.is_file():
        raise UserError(f"{weights}: no such file of weights")
    path = weights or inception_weights.find(say)
    if path is None and choice == "auto":
        say(
            "official Inception weights are not on this machine: scoring with EfficientNet-Lite0, so no number here is"
            " an FID (--extractor inception downloads the weights, --weights FILE names them)"
        )
        if protocol != "tf1":
            raise UserError("--protocol belongs to Inception, whose weights are not on this machine")
        return Lite0()
    extractor = Inception(path or inception_weights.download(), protocol)
    if not extractor.official:
        say(f"{path}: weights of unknown SHA-256 {extractor.weights_sha256}; the distance is not called FID")
    return extractor
