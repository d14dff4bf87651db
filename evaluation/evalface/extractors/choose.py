"""Which extractor scores: the one that was asked for, or the best whose weights are on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from evalface.extractors import inception_weights
from evalface.extractors.base import Extractor
from evalface.extractors.dinov2 import SIZES, DinoV2
from evalface.extractors.inception import Inception, Protocol
from evalface.extractors.lite0 import Lite0
from evalface.extractors.pixels import Pixels
from genface.errors import UserError
from genface.providers import Precision

Choice = Literal["auto", "inception", "lite0", "pixels", "dinov2"]

_WITH_WEIGHTS = ("auto", "inception", "dinov2")
_WITH_PROTOCOL = ("auto", "inception")


def choose_extractor(
    choice: Choice,
    weights: Path | None,
    protocol: Protocol,
    say: Callable[[str], None],
    precision: Precision = "fp32",
) -> Extractor:
    """Build the extractor; what a person must know about the choice goes to `say`.

    `auto` takes Inception if `weights` is given or the official file is on this machine, else EfficientNet-Lite0, and
    downloads nothing. `inception` downloads what is missing. `dinov2` wants `weights`. Raises UserError for choices
    that cannot be had and for options that do not belong to the choice.
    """
    _check(choice, weights, protocol, precision)
    if choice == "pixels":
        return Pixels()
    if choice == "lite0":
        return Lite0(precision)
    if choice == "dinov2":
        assert weights is not None
        return _dinov2(weights, precision, say)
    path = weights or inception_weights.find(say)
    if path is None and choice == "auto":
        say(
            "official Inception weights are not on this machine: scoring with EfficientNet-Lite0, so no number here is"
            " an FID (--extractor inception downloads the weights, --weights FILE names them)"
        )
        if protocol != "tf1":
            raise UserError("--protocol belongs to Inception, whose weights are not on this machine")
        return Lite0(precision)
    extractor = Inception(path or inception_weights.download(), protocol, precision)
    if not extractor.official:
        say(f"{path}: weights of unknown SHA-256 {extractor.weights_sha256}; the distance is not called FID")
    return extractor


def _check(choice: Choice, weights: Path | None, protocol: Protocol, precision: Precision) -> None:
    for what, value, known in (
        ("extractor", choice, get_args(Choice)),
        ("protocol", protocol, get_args(Protocol)),
        ("precision", precision, get_args(Precision)),
    ):
        if value not in known:
            raise UserError(f"unknown {what} {value!r}; known: {', '.join(known)}")
    if protocol != "tf1" and choice not in _WITH_PROTOCOL:
        raise UserError(f"--protocol {protocol} belongs to Inception, not to {choice}: leave it out")
    if weights is not None and choice not in _WITH_WEIGHTS:
        raise UserError(f"--weights does not belong to {choice}: leave it out, or take --extractor inception or dinov2")
    if weights is not None and not weights.is_file():
        raise UserError(f"{weights}: no such file of weights")
    if precision != "fp32" and choice == "pixels":
        raise UserError(f"--precision {precision}: raw pixels are whole numbers and not computed with; leave it out")
    if weights is None and choice == "dinov2":
        files = "; ".join(f"{size.title}: {size.url}, SHA-256 {size.sha256}" for size in SIZES.values())
        raise UserError(f"--extractor dinov2 wants --weights FILE ({files})")


def _dinov2(weights: Path, precision: Precision, say: Callable[[str], None]) -> DinoV2:
    extractor = DinoV2(weights, precision)
    known = "as published" if extractor.official else "not that of the published file, so it is named with every score"
    say(f"{weights}: {extractor.title}, SHA-256 {extractor.weights_sha256}, {known}")
    return extractor
