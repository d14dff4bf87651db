"""A folder for any static web host: the page, the runtime it draws with, the model, and what is said of the model."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genface import __version__
from genface.errors import UserError
from genface.new_file import unwritable
from genface.strict_json import parse_json
from genface.web_runtime import RECORD

if TYPE_CHECKING:
    from genface.model import GeneratorInfo
    from genface.page_scores import QuotedScore

KIND = "genface-page"
FORMAT_VERSION = 1
SITE = "site.json"
"""The record of the model, which the page reads first."""
SOURCES = Path(__file__).with_name("web")

_RUNTIME = "runtime"
_CARD_FIELDS = ("architecture", "dataset", "licence", "images_seen", "checkpoint_sha256")


@dataclass(frozen=True, kw_only=True)
class WrittenPage:
    """What a page takes on the disk."""

    num_files: int
    num_bytes: int


def write_page(
    info: GeneratorInfo,
    out: Path,
    *,
    runtime: Mapping[str, bytes],
    scores: Sequence[QuotedScore] = (),
    force: bool = False,
) -> WrittenPage:
    """Write the page of an opened generator to the folder `out`; it is there complete, or what was there stays.

    `runtime` is what `genface.web_runtime.find_runtime` gives.

    Raises UserError as `check_drawable` and `check_page_folder` do, when the model changes meanwhile, and where the
    disk refuses.
    """
    check_drawable(info)
    check_page_folder(out, force=force)
    with _replacing(out) as folder:
        model = model_name(info.path)
        for name, data in [*_sources(), *((f"{_RUNTIME}/{name}", data) for name, data in runtime.items())]:
            target = folder / name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(data)
        shutil.copyfile(info.path, folder / model)
        with (folder / model).open("rb") as copied:
            if hashlib.file_digest(copied, "sha256").hexdigest() != info.sha256:
                raise UserError(f"{info.path}: was replaced while it was read; give the command again")
        sizes = {name: (folder / name).stat().st_size for name in _files(folder)}
        site = json.dumps(site_record(info, model, scores, sorted(sizes)), indent=1, allow_nan=False) + "\n"
        (folder / SITE).write_text(site)
    return WrittenPage(num_files=len(sizes) + 1, num_bytes=sum(sizes.values()) + len(site))


def site_record(info: GeneratorInfo, model: str, scores: Sequence[QuotedScore], files: Sequence[str]) -> dict[str, Any]:
    """What site.json holds: `model` is the file's name in the folder, `files` are all others of the page.

    What nobody knows of a generator that exportface did not write is null.
    """
    contract, card = info.contract, info.card
    return {
        "kind": KIND,
        "format_version": FORMAT_VERSION,
        "genface": __version__,
        "model": {"file": model, "bytes": info.size_bytes, "sha256": info.sha256},
        "input": {"name": contract.input_name, "z_dim": info.z_dim},
        "output": {"name": contract.output_name},
        "size": info.height,
        "card": {name: getattr(card, name, None) for name in _CARD_FIELDS},
        "scores": [asdict(score) for score in scores],
        "directions": card.directions if card else [],
        "files": list(files),
    }


def model_name(path: Path) -> str:
    """The model's name in the folder: its own, with what web hosts may not like replaced, and ending in .onnx."""
    return re.sub(r"[^\w.-]", "-", path.name.removesuffix(".onnx")) + ".onnx"


def check_drawable(info: GeneratorInfo) -> None:
    """Raise UserError unless the page can draw from this graph: genface takes others too, the page does not."""
    contract = info.contract
    is_plain = contract.latent_type == "float32" and contract.latent_shape == (contract.z_dim,) and not info.inputs
    if not (is_plain and contract.is_ready and contract.fixed_batch is None and info.height == info.width):
        taken = ["N" if contract.fixed_batch is None else contract.fixed_batch, *contract.latent_shape]
        more = f" and {', '.join(info.inputs)}" if info.inputs else ""
        given = [taken[0], *contract.picture_shape]
        raise UserError(
            f"{info.path}: takes {contract.latent_type} {_shape(taken)}{more} and gives {contract.picture_type}"
            f" {_shape(given)}; the page needs a graph that takes float32 [N, z_dim] alone and gives square pictures,"
            " uint8 [N, S, S, 3], as exportface writes it"
        )


def check_page_folder(out: Path, *, force: bool) -> None:
    """Raise UserError unless a page can be written to `out`: a new name, an empty folder, or with `force` a page."""
    folder = out.resolve()
    if not folder.parent.is_dir():
        raise UserError(f"{out}: the folder {folder.parent} does not exist; make it first")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UserError(f"{out}: is no folder; choose another --out")
    there = set(_files(folder))
    if not there:
        return
    # An earlier page lists its files; nothing else is ever removed.
    strange = sorted(there - _listed(folder))
    if strange:
        raise UserError(f"{out}: holds {strange[0]}, which is of no page of genface; choose another --out")
    if not force:
        raise UserError(f"{out}: holds a page already; choose another --out, or replace it by --force")


def _listed(folder: Path) -> set[str]:
    """The files that a page says it consists of; none in a folder that holds no page."""
    try:
        site = parse_json((folder / SITE).read_bytes())
        return {SITE, *site["files"]} if site["kind"] == KIND else set()
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _sources() -> Iterator[tuple[str, bytes]]:
    for name in _files(SOURCES):
        if name != RECORD.name and not name.startswith("."):
            yield name, (SOURCES / name).read_bytes()


def _files(folder: Path) -> list[str]:
    """Everything below a folder that is not a folder itself, by relative names with forward slashes."""
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """Give an empty folder beside `out`; it takes that name when the block ends well, else it is removed."""
    out = out.resolve()
    part, aside = (out.with_name(f".{out.name}.{secrets.token_hex(4)}.{ending}") for ending in ("part", "old"))
    try:
        part.mkdir()
        yield part
        if out.exists():
            out.rename(aside)
        try:
            part.rename(out)
        except BaseException:
            if aside.exists():
                aside.rename(out)
            raise
    except OSError as error:
        raise unwritable(out, error, "nothing was kept") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if out.exists():
            shutil.rmtree(aside, ignore_errors=True)


def _shape(sides: Sequence[int | str]) -> str:
    return f"[{', '.join(map(str, sides))}]"
