"""What an export tells a person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from exportface.figures import Row
from exportface.parity import MIN_STD, SEED, Parity
from exportface.quality import Cost

if TYPE_CHECKING:
    from exportface.export import Exported

_COLUMNS = (
    f"  {'form':21} {'batch':>5} {'max |d|':>9} {'99.99 %':>9} {'mean |d|':>9} {'levels':>6} {'mean':>8} {'equal':>9}"
)


def summary_lines(exported: Exported, out: Path, *others: Path | None) -> Iterator[str]:
    """What was written, from what, and how well it agrees; `others` are further files, None for one not asked for."""
    card = exported.card
    yield (
        f"{out}: {exported.onnx_bytes / 1e6:.2f} MB, {card.architecture}, {card.resolution}x{card.resolution} px from"
        f" {card.z_dim} numbers, {card.images_seen:,} images of {card.dataset} seen, licence: {card.licence}"
    )
    for path in others:
        if path is not None:
            yield f"{path}: {path.stat().st_size / 1e6:.2f} MB"
    yield from parity_lines(exported.parity)
    if exported.cost is not None:
        yield from cost_lines(exported.cost)


def cost_lines(cost: Cost) -> Iterator[str]:
    """What a precision below fp32 saves and costs."""
    yield (
        f"against fp32: {cost.bytes / cost.reference_bytes:.2f} of the size, {cost.speed:.2f} times as fast (one"
        f" thread), {cost.mean_error:.3f} levels of mean and {cost.max_error} of largest difference"
    )
    yield (
        f"  Frechet distance (EfficientNet-Lite0) to fp32's pictures {cost.frechet:.3f}, N = {cost.images:,}; fp32's of"
        f" other latents {cost.floor:.2f}"
    )


def parity_lines(parity: Parity, fed: str = "latents") -> Iterator[str]:
    """The figures as a table, forms of one tolerance together and what is allowed below them; `fed`: on what.

    Differences |d| before quantising are in units of [-1, 1], those after it in levels of 255.
    """
    yield f"difference from PyTorch (eager, fp32, CPU) on {parity.images:,} {fed} of seed {SEED}:"
    yield _COLUMNS
    for tolerance in dict.fromkeys(parity.tolerances.values()):
        previous = None
        for row in parity.rows:
            if parity.tolerances[row.form] == tolerance:
                yield _line(row, name="" if row.form == previous else row.form)
                previous = row.form
        yield (
            f"  {'allowed':>27} {tolerance.max_delta:9.1e} {'':9} {'':9}"
            f" {tolerance.max_levels:6} {tolerance.mean_levels:8.4f} {tolerance.min_identical:9.4%}"
        )
    yield from _remarks(parity)


def _line(row: Row, name: str) -> str:
    return (
        f"  {name:21} {row.batch:5} {row.max_delta:9.1e} {row.p9999_delta:9.1e} {row.mean_delta:9.1e}"
        f" {row.max_levels:6} {row.mean_levels:8.4f} {row.identical:9.4%}"
    )


def _remarks(parity: Parity) -> Iterator[str]:
    wrong = {form: errors for form, errors in parity.quantiser_errors.items() if errors}
    for form, errors in wrong.items():
        yield f"  {form}: its last nodes quantise {errors} made-up values otherwise than genface"
    if parity.quantiser_errors and not wrong:
        yield "  the last nodes of every ONNX session quantise made-up values exactly as genface does"
    for form, reason in parity.refused.items():
        yield f"  {form}: does not take this graph: {reason}"
    yield f"  standard deviation of the pictures in [-1, 1]: {parity.output_std:.3f}"


def warning(parity: Parity) -> str | None:
    """What a person must know beside the figures: that flat pictures prove little."""
    if parity.output_std >= MIN_STD:
        return None
    return (
        f"warning: the pictures' standard deviation is {parity.output_std:.3f}, under {MIN_STD}: this network is"
        " hardly trained, and agreement on flat pictures proves little"
    )
