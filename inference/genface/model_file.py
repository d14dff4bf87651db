"""Reading a generator's file: one regular .onnx file that holds everything, or an error that says what it is."""

from __future__ import annotations

import stat
from pathlib import Path

from genface.errors import UserError

# How files begin that are given in place of a generator, and what to do about it.
_NOT_ONNX = {
    b"PK\x03\x04": "is a .zip or a torch checkpoint, not ONNX: make gen.onnx of a checkpoint by exportface",
    b"version https://git-lfs": "is a Git LFS pointer, not the model: fetch it by git lfs pull",
    b"<!DOCTYPE": "is a web page, not ONNX: download the file itself",
    b"<html": "is a web page, not ONNX: download the file itself",
}
# The protobuf string entry "location": PATH, as field 13 (external_data) of a tensor. Of an entry of the model's own
# metadata, only the tag before it would differ.
_LOCATION = b"\x0a\x08location\x12"
_EXTERNAL_DATA = 0x6A


def read_model(path: Path) -> bytes:
    """The bytes of a generator's file. Raises UserError, naming the file, when it is none, or not all of one."""
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give an .onnx file")
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UserError(f"{path}: is not a regular file; give an .onnx file")
        graph = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; give an .onnx file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except MemoryError:
        raise UserError(f"{path}: does not fit into memory ({path.stat().st_size:,} bytes)") from None
    if not graph:
        raise UserError(f"{path}: is empty")
    for beginning, remedy in _NOT_ONNX.items():
        if graph.startswith(beginning):
            raise UserError(f"{path}: {remedy}")
    _refuse_external_data(path, graph)
    return graph


def _refuse_external_data(path: Path, graph: bytes) -> None:
    """An archive names its model by this one file's SHA-256, which would not cover weights beside it."""
    locations = _external_locations(graph)
    if not locations:
        return
    missing = [location for location in locations if not (path.parent / location).is_file()]
    if missing:
        raise UserError(
            f"{path}: keeps its weights in a file of their own, and {_shown(missing)} is missing beside it: export the"
            " generator as one file (external_data=False)"
        )
    whole = path.with_stem(path.stem + "-whole")
    raise UserError(
        f"{path}: keeps its weights in a file of their own, {_shown(locations)}; genface takes one file: join them by"
        f" onnx.save(onnx.load({str(path)!r}), {str(whole)!r})"
    )


def _shown(names: list[str]) -> str:
    """Some exporters write a file per tensor."""
    return repr(names[0][:200]) + (f" (and {len(names) - 1} more)" if names[1:] else "")


def _external_locations(graph: bytes) -> list[str]:
    """Names of the files that tensors of this graph lie in, each once; found without decoding the rest."""
    found: dict[str, None] = {}
    at = graph.find(_LOCATION)
    while at >= 0:
        # The entry's tag and length stand before it; the length takes one byte, or two from 128 on.
        start = at + len(_LOCATION)
        if _EXTERNAL_DATA in (graph[at - 2 : at - 1] + graph[at - 3 : at - 2]):
            length, start = _varint(graph, start)
            found[graph[start : start + length].decode("utf-8", "replace")] = None
        at = graph.find(_LOCATION, start)
    return list(found)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A protobuf length of up to two bytes (paths have no more), and where what it measures begins."""
    low, high = (*data[at : at + 2], 0, 0)[:2]
    return (low, at + 1) if low < 128 else (low - 128 + 128 * high, at + 2)
