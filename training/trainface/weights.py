"""A checkpoint reduced to what another run can begin with: the averaged generator and D, in half precision."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genface.errors import UserError
from trainface import checkpoint

# What says where the weights come from. Optimisers, random streams and the guard belong to the run alone.
_KEPT = ("config", "preparation", "data", "origin", "cur_nimg")


def write_weights(source: Path, out: Path, *, ema: str | None = None, force: bool = False) -> None:
    """Write an averaged generator and D of a checkpoint to `out`, floats as float16: a ninth of its size.

    `ema`: half-life of the average, as the configuration has it; default: the one of the lowest KID. Short averages
    are sharper and more varied, long ones smoother.

    `--init-from` begins another run with the file and `exportface` exports it; a run cannot go on from it. The numbers
    that either gets are those of the file, rounded to 11 bits: export what ships from the file that ships.

    Raises UserError for a checkpoint that cannot be read, for a half-life that it has not, for weights that float16
    cannot hold, and for an `out` that is there already (unless `force`) or is the checkpoint itself; OSError where the
    disk refuses.
    """
    _refuse_target(source, out, force=force)
    state = checkpoint.load(source)
    try:
        kept = {key: state[key] for key in _KEPT}
        averages, D, chosen = state["ema"], state["D"], state["best_ema"] if ema is None else ema
        if ema is not None and ema not in averages:
            raise UserError(f"--ema {ema}: {source} has averages of {', '.join(averages)} kimg")
        networks = {"ema": {chosen: averages[chosen]}, "D": D}
    except (KeyError, TypeError) as error:
        raise UserError(f"{source}: damaged, it lacks or garbles {error}; take an earlier checkpoint") from error
    halved = {name: _halved(value, source) for name, value in networks.items()}
    checkpoint.save_weights(kept | {"best_ema": chosen} | halved, out)


def _halved(value: Any, source: Path) -> Any:
    """The same nest of dicts with its floats as float16."""
    if isinstance(value, Mapping):
        return {key: _halved(part, source) for key, part in value.items()}
    if not (isinstance(value, Tensor) and value.is_floating_point()):
        return value
    half = value.to(torch.float16)
    if not half.isfinite().all():
        raise UserError(f"{source}: has weights that are not finite, or beyond the 65504 that float16 reaches")
    return half


def _refuse_target(source: Path, out: Path, *, force: bool) -> None:
    if out.resolve() == source.resolve():
        raise UserError(f"{out}: is the checkpoint itself; give another --out")
    if not out.parent.is_dir():
        raise UserError(f"{out}: the folder {out.parent} does not exist; make it first")
    if out.is_dir() or (out.exists() and not force):
        raise UserError(f"{out}: exists already; --force replaces a file, or give another --out")
