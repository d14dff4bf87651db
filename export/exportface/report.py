"""What an export tells a person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from exportface.export import Exported
from exportface.parity import MAX_DELTA, MAX_LEVELS, MIN_IDENTICAL, MIN_STD, SEED, Parity

_COLUMNS = (
    f"  {'form':13} {'batch':>5} {'images':>7} {'max |d|':>9} {'99.99 %':>9} {'mean |d|':>9} {'levels':>6} {'equal':>9}"
)


def summary_lines(exported: Exported, out: Path, torchscript: Path | None) -> Iterator[str]:
    """What was written, from what, and how well it agrees."""
    card = exported.card
    yield (
        f"{out}: {exported.onnx_bytes / 1e6:.2f} MB, {card.architecture}, {card.resolution}x{card.resolution} px from"
        f" {card.z_dim} numbers, {card.images_seen:,} images of {card.dataset} seen, licence: {card.licence}"
    )
    if torchscript is not None:
        yield f"{torchscript}: {exported.torchscript_bytes / 1e6:.2f} MB"
    yield from parity_lines(exported.parity)


def parity_lines(parity: Parity) -> Iterator[str]:
    """The figures as a table; differences |d| before quantising are in units of [-1, 1]."""
    yield f"difference from PyTorch (eager, fp32, CPU) on {parity.images:,} latents of seed {SEED}:"
    yield _COLUMNS
    for row in parity.rows:
        yield (
            f"  {row.form:13} {row.batch:5} {row.images:7,} {row.max_delta:9.1e} {row.p9999_delta:9.1e}"
            f" {row.mean_delta:9.1e} {row.max_levels:6} {row.identical:9.4%}"
        )
    yield f"  {'allowed':13} {'':5} {'':7} {MAX_DELTA:9.1e} {'':9} {'':9} {MAX_LEVELS:6} {MIN_IDENTICAL:9.4%}"
    for form, errors in parity.quantiser_errors.items():
        yield f"  {form}, last nodes alone: {errors or 'no'} made-up values quantised otherwise than by genface"
    yield f"  standard deviation of the pictures in [-1, 1]: {parity.output_std:.3f}"


def warning(parity: Parity) -> str | None:
    """What a person must know beside the figures: that flat pictures prove little."""
    if parity.output_std >= MIN_STD:
        return None
    return (
        f"warning: the pictures' standard deviation is {parity.output_std:.3f}, under {MIN_STD}: this generator is"
        " hardly trained, and agreement on flat pictures proves little"
    )
