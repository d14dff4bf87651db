"""checkpoint.pt: a plain dict of tensors, numbers and strings, complete under its name or not there at all."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import zipfile
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, BinaryIO

import torch

from genface.errors import UserError
from trainface import atomic
from trainface.config import Config

KIND = "trainface-checkpoint"
WEIGHTS_KIND = "trainface-weights"
"""What `trainface weights` leaves of a checkpoint: networks in half precision, and where they come from."""
FORMAT_VERSION = 2
CHECKPOINT = "checkpoint.pt"
"""Its name in a run folder."""
_KINDS = "trainface-"
"""How every kind begins."""
KEPT_FOLDER = "checkpoints"
RESERVE_BYTES = 64_000_000
"""Room that a checkpoint leaves on the disk for the run's small files, and for whoever else works there."""


def save(state: dict[str, Any], path: Path) -> None:
    """Write `state`, of a GAN's run unless it has a `kind` and a `format_version` of its own.

    Where the disk has no room for it and a reserve, older kept checkpoints go first. A full disk is an OSError that
    names the file, and leaves the previous checkpoint as it was.
    """
    _make_room(path, _bytes_in(state))
    _write({"kind": KIND, **state}, path)


def save_weights(state: dict[str, Any], path: Path) -> None:
    """Write a file of weights alone, which lies outside of run folders; OSError as for a checkpoint."""
    _write({"kind": WEIGHTS_KIND, **state}, path)


def _write(state: dict[str, Any], path: Path) -> None:
    def fill(file: BinaryIO) -> None:
        try:
            torch.save({"format_version": FORMAT_VERSION, **state}, file)
        except RuntimeError as error:
            # torch's zip writer turns a failed write into a RuntimeError.
            raise OSError(errno.EIO, f"cannot be written ({error})") from error

    atomic.write(path, fill)


def keep_copy(run: Path, cur_nimg: int, keep: int) -> None:
    """Keep the run's checkpoint.pt of `cur_nimg` images as `checkpoints/<cur_nimg>.pt`, the newest `keep` of them."""
    assert keep > 0, "a configuration keeps at least one"
    folder = run / KEPT_FOLDER
    folder.mkdir(exist_ok=True)
    link(run / CHECKPOINT, folder / f"{cur_nimg:09d}.pt")
    for old in kept(run)[keep:]:
        old.unlink()


def kept(run: Path) -> list[Path]:
    """The kept checkpoints of a run, those of the most images first."""
    paths = [path for path in (run / KEPT_FOLDER).glob("*.pt") if path.stem.isdecimal()]
    return sorted(paths, key=lambda path: int(path.stem), reverse=True)


def link(source: Path, target: Path) -> None:
    """Give a file that is replaced but never changed a second name; a copy where the file system has no links."""
    temporary = target.with_name(f".{target.name}.link.tmp")
    try:
        temporary.unlink(missing_ok=True)
        temporary.hardlink_to(source)
        temporary.replace(target)
    except OSError:
        _make_room(source, source.stat().st_size)
        with source.open("rb") as original:
            atomic.write(target, lambda file: shutil.copyfileobj(original, file))
    finally:
        # Where both were names of one file already, the rename leaves both.
        temporary.unlink(missing_ok=True)


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; only weights and plain values are unpickled, never code.

    One of format 1 is lifted, and a file of weights alone widened to float32: enough to export it or to begin another
    run with it, not to go on with its own. Raises UserError when the file is missing, truncated, damaged, something
    else, or of a newer format.
    """
    path = Path(path)
    state = _read(path)
    if state.get("kind") not in (KIND, WEIGHTS_KIND):
        raise UserError(f"{path}: {_other_kind(state)}, not the checkpoint of a GAN's run")
    version = state.get("format_version")
    if version == 1:
        try:
            return _lifted(state)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UserError(f"{path}: damaged, it lacks or garbles {error}; take an earlier checkpoint") from error
    if version != FORMAT_VERSION:
        raise UserError(
            f"{path}: checkpoint format {version}, but this trainface reads 1 and {FORMAT_VERSION}:"
            " use the version that wrote it"
        )
    return _widened(state) if state["kind"] == WEIGHTS_KIND else state


def load_kind(path: Path, kind: str, format_version: int) -> dict[str, Any]:
    """Read a checkpoint of another kind of run onto the CPU, with the same care; raises UserError as `load` does."""
    state = _read(path)
    if state.get("kind") != kind:
        raise UserError(f"{path}: {_other_kind(state)}, where one of kind {kind} was looked for")
    if state.get("format_version") != format_version:
        raise UserError(
            f"{path}: format {state.get('format_version')} of {kind}, but this trainface reads {format_version}:"
            " use the version that wrote it"
        )
    return state


def _read(path: Path) -> dict[str, Any]:
    """The dict in a file of torch's, whatever its kind."""
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give the checkpoint.pt of a run")
    if not path.exists():
        raise UserError(f"{path}: no such checkpoint")
    _refuse_damage(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(f"{path}: refused, since it holds more than tensors and plain values") from error
    except Exception as error:
        # A pickle that lies fails in as many ways as there are opcodes.
        raise UserError(f"{path}: not a checkpoint of trainface, or damaged") from error
    if not (isinstance(state, dict) and str(state.get("kind")).startswith(_KINDS)):
        raise UserError(f"{path}: not a checkpoint of trainface")
    return state


def _other_kind(state: dict[str, Any]) -> str:
    return f"a checkpoint of kind {state['kind']}"


def _widened(value: Any) -> Any:
    """The same nest of dicts with its halves as float32, which holds each of them exactly."""
    if isinstance(value, torch.Tensor):
        return value.float() if value.dtype == torch.float16 else value
    return {key: _widened(part) for key, part in value.items()} if isinstance(value, dict) else value


def _lifted(state: dict[str, Any]) -> dict[str, Any]:
    """Format 1 had one averaged generator, no tricks and no guard: new settings stand at their defaults."""
    state = dict(state)
    record: dict[str, Any] = dict(state["config"])
    halflife = f"{float(record.pop('ema_halflife_kimg')):g}"
    defaults = {field.name: field.default for field in fields(Config) if field.default is not MISSING}
    d_norm = "batch" if record["architecture"] == "dcgan" else "none"
    config = Config.from_dict(defaults | {"d_norm": d_norm} | record | {"ema_halflives_kimg": halflife})
    (key,) = map(str, config.ema_halflives_kimg)
    state["ema"] = {key: state.pop("G_ema")}
    return state | {
        "format_version": FORMAT_VERSION,
        "config": config.to_dict(),
        "best_ema": key,
        "origin": None,
        "augment_extra": 0.0,
        "best_kid": None,
    }


def _make_room(path: Path, needed: int) -> None:
    """Remove older kept checkpoints until `needed` bytes and the reserve are free; OSError where that is too little."""
    wanted = needed + RESERVE_BYTES
    # The newest of them is what a roll-back goes to.
    expendable = kept(path.parent)[1:]
    while (free := shutil.disk_usage(path.parent).free) < wanted:
        if not expendable:
            raise OSError(
                errno.ENOSPC,
                f"no room for a checkpoint: it and a reserve need {wanted / 1e6:.0f} MB, {free / 1e6:.0f} MB are free",
                str(path),
            )
        expendable.pop().unlink()


def _bytes_in(state: Any) -> int:
    """Bytes of the tensors in a nest of dicts and lists, and a little for everything else."""
    if isinstance(state, torch.Tensor):
        return state.nbytes + 512
    if isinstance(state, dict):
        return sum(map(_bytes_in, state.values()))
    return sum(map(_bytes_in, state)) if isinstance(state, list | tuple) else 128


def _refuse_damage(path: Path) -> None:
    """Check every record's CRC: torch's own reader does not, and would train on with a flipped bit."""
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path}: not a checkpoint of trainface, or cut short")
    try:
        with zipfile.ZipFile(path) as records:
            bad = records.testzip()
    except Exception as error:  # zlib, struct and zipfile each have their own
        raise UserError(f"{path}: damaged ({error})") from error
    if bad is not None:
        raise UserError(f"{path}: damaged, its record {bad} does not match its checksum; take an earlier checkpoint")
