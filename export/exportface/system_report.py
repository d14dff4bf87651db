"""What the export of a mixer or a stylizer tells a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from exportface.code_parity import ALLOWED, CodeParity
from exportface.parity import Parity
from exportface.report import parity_lines
from exportface.style_parity import NORMS_ALLOWED, StyleParity
from genface.mixer_card import MixerCard
from genface.style_card import StyleCard


def mixer_summary(card: MixerCard, sizes: Mapping[str, int], out: Path) -> str:
    """What was written, and from what; `sizes` are the files', in bytes."""
    files = ", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in sizes.items())
    return (
        f"{out}: {files}; {card.method}, {card.size}x{card.size} px, codes of {card.code_dim} numbers, {card.mixing}"
        f" mixing, {card.images_seen:,} images of {card.dataset} seen, licence: {card.licence}"
    )


def style_summary(card: StyleCard, size: int, out: Path) -> str:
    """What was written, and from what; `size` is the file's, in bytes."""
    return (
        f"{out}: {size / 1e6:.2f} MB; styles: {', '.join(card.styles)}; trained at {card.training_size} px on"
        f" {card.features}, {card.images_seen:,} images of {card.dataset} seen, licence: {card.licence}"
    )


def mixer_lines(encoder: CodeParity | None, decoder: Parity) -> Iterator[str]:
    """The figures of a mixer's two graphs; there are none of an encoder that was not compared."""
    if encoder is not None:
        yield from _code_lines(encoder)
    yield from parity_lines(decoder, fed="codes")


def style_lines(parity: StyleParity) -> Iterator[str]:
    """The figures of a stylizer."""
    yield from parity_lines(parity.pictures, fed="pictures")
    yield (
        f"  means and variances m of its norms: difference {parity.norms_delta:.1e} of 1 + |m|; allowed"
        f" {NORMS_ALLOWED:.0e}"
    )


def _code_lines(parity: CodeParity) -> Iterator[str]:
    for row in parity.rows:
        yield (
            f"codes of {parity.photos} photos, batch {row.batch}: difference {row.max_delta:.1e} at most and"
            f" {row.mean_delta:.1e} in the mean, in units of their root mean square {parity.code_rms:.3g}; allowed"
            f" {ALLOWED:.0e}"
        )
