"""Statistics files: mean and covariance of a set's features in an .npz, so that a Frechet distance needs no pictures.

pytorch-fid's files hold `mu` and `sigma` and say nothing of where these come from. Ours hold the same two arrays, so
that pytorch-fid reads them, and beside them the number of pictures and, as JSON, the extractor and the preparation, so
that statistics of another extractor are never compared by accident.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evalface.files import written_whole
from evalface.frechet import Gaussian
from evalface.moments import Moments
from genface.errors import UserError

KIND = "evalface-statistics"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What a statistics file holds; None stands for what pytorch-fid's do not."""

    gaussian: Gaussian
    moments: Moments | None
    """To be merged with those of other shards."""
    n: int | None
    """Number of pictures."""
    extractor: dict[str, Any] | None
    """`Extractor.identity()`."""
    preparation: dict[str, Any] | None


def write_statistics(
    path: Path, moments: Moments, *, extractor: dict[str, Any], preparation: dict[str, Any] | None
) -> None:
    """Write `path`, whole or not at all. Raises UserError for a single picture or where the disk refuses."""
    facts = {"kind": KIND, "version": VERSION, "extractor": extractor, "preparation": preparation}
    try:
        with written_whole(path) as file:
            np.savez(
                file,
                mu=moments.mean,
                sigma=moments.sigma(),
                n=np.int64(moments.n),
                facts=np.array(json.dumps(facts, sort_keys=True)),
            )
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error


def read_statistics(path: Path) -> Statistics:
    """Read a file of ours or of pytorch-fid. Raises UserError for anything else, naming the file."""
    try:
        # Opened here: numpy leaves a damaged file open.
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile) or not {"mu", "sigma"} <= set(arrays.files):
                raise UserError("no statistics file: an .npz with the arrays mu and sigma is needed")
            found = {name: arrays[name] for name in {"mu", "sigma", "n", "facts"} & set(arrays.files)}
        return _parse(found)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise UserError(f"{path}: damaged, or no statistics file ({error})") from error


def _parse(found: dict[str, Any]) -> Statistics:
    gaussian = Gaussian.from_moments(found["mu"], found["sigma"])
    if "facts" not in found:
        return Statistics(gaussian=gaussian, moments=None, n=None, extractor=None, preparation=None)
    facts = json.loads(str(found["facts"]))
    if facts.get("kind") != KIND or facts.get("version") != VERSION:
        raise UserError(
            f"holds {facts.get('kind')} version {facts.get('version')}; this evalface reads {KIND} version {VERSION}:"
            " write the file anew from its pictures"
        )
    n = int(found["n"])
    if n < 2:
        raise UserError(f"says it holds statistics of {n} pictures")
    return Statistics(
        gaussian=gaussian,
        moments=Moments(n=n, mean=gaussian.mu, scatter=np.asarray(found["sigma"], np.float64) * (n - 1)),
        n=n,
        extractor=facts["extractor"],
        preparation=facts["preparation"],
    )
