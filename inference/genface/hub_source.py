"""Pictures of a data set that Hugging Face `datasets` can load: a name on the hub, a local folder, a .parquet file."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from typing import Any

from genface.errors import BrokenImageError, UserError
from genface.sources import MAX_FILE_BYTES, PictureSource

_PREFERRED_SPLIT = "train"


class HubSource(PictureSource):
    """`NAME[@SPLIT]`: rows of one split, named by their number; the column of pictures is found by its type.

    NAME is what `datasets.load_dataset` takes (user/name on the hub, or a local folder), or a local .parquet file. The
    split is `train` unless said otherwise, or the only one there is. What was loaded once is taken from the cache of
    `datasets`; with HF_HUB_OFFLINE=1 in the environment nothing is asked of the network.
    """

    def __init__(self, address: str) -> None:
        datasets = _import_datasets()
        name, _, split = address.partition("@")
        if not name:
            raise UserError("hf: names no data set; write hf:user/name, hf:FOLDER or hf:FILE.parquet")
        rows = _split(_load(datasets, name), name, split)
        self._column = _picture_column(datasets, rows.features, name)
        rows = rows.select_columns([self._column])
        if isinstance(rows.features[self._column], datasets.Image):
            rows = rows.cast_column(self._column, datasets.Image(decode=False))
        self._rows = rows
        super().__init__(Path(f"hf:{address}"), [f"{row:08d}" for row in range(len(rows))], None)

    def read(self, name: str) -> bytes:
        try:
            value = self._rows[int(name)][self._column]
            data = value if isinstance(value, bytes) else (value or {}).get("bytes")
            if data is None:
                file = Path((value or {}).get("path") or "")
                status = file.stat()
                if not stat.S_ISREG(status.st_mode):
                    raise BrokenImageError(name, f"no picture in this row of column {self._column!r}")
                if status.st_size > MAX_FILE_BYTES:
                    raise BrokenImageError(name, f"over {MAX_FILE_BYTES >> 20} MiB")
                data = file.read_bytes()
        except BrokenImageError:
            raise
        except Exception as error:  # Arrow raises its own kinds for damaged files
            raise BrokenImageError(name, f"cannot be read ({error})") from error
        assert isinstance(data, bytes)
        return data


def _import_datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise UserError(
            f"hf: sources need the package datasets ({error}): install genface with its extra hf,"
            " e.g. pip install './inference[hf]'"
        ) from error
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    return datasets


def _load(datasets: Any, name: str) -> dict[str, Any]:
    """All splits of a data set by their names."""
    if name.endswith(".parquet") and not Path(name).is_file():
        raise UserError(f"hf:{name}: no such file")
    try:
        loaded = (
            datasets.load_dataset("parquet", data_files=name)
            if name.endswith(".parquet")
            else datasets.load_dataset(name)
        )
    except Exception as error:  # whatever the hub, the network and the files lead to
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(
            f"hf:{name}: cannot be loaded ({reason[:300]}); give a local folder, a local .parquet file, or user/name on"
            " the hub, which is asked over the network the first time"
        ) from error
    return dict(loaded)


def _split(splits: dict[str, Any], name: str, wanted: str) -> Any:
    if not wanted:
        wanted = next(iter(splits)) if len(splits) == 1 else _PREFERRED_SPLIT
    if wanted not in splits:
        raise UserError(
            f"hf:{name}: has no split {wanted!r}; write one of " + ", ".join(f"hf:{name}@{s}" for s in splits)
        )
    return splits[wanted]


def _picture_column(datasets: Any, features: dict[str, Any], name: str) -> str:
    """The one column of pictures: of the type Image, or, where no column says so, of encoded bytes."""
    typed = [column for column, feature in features.items() if isinstance(feature, datasets.Image)]
    found = typed or [column for column, feature in features.items() if _holds_bytes(feature)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(
            f"hf:{name}: has several columns of pictures ({', '.join(found)}); save the one that is meant as a set of"
            " its own"
        )
    raise UserError(f"hf:{name}: has no column of pictures (only {', '.join(features)})")


def _holds_bytes(feature: Any) -> bool:
    encoded = feature["bytes"] if isinstance(feature, dict) and "bytes" in feature else feature
    return getattr(encoded, "dtype", None) in ("binary", "large_binary")
