"""What a checkpoint of trainface gives to an export: the averaged generator, and what is known about it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from evalface.files import sha256_of
from exportface.directions import Directions
from genface.errors import UserError
from genface.latents import latents
from genface.metadata import ModelCard
from genface.photos import Preparation
from trainface import checkpoint
from trainface.config import Config
from trainface.ema import averaged_generator


@dataclass(frozen=True, kw_only=True)
class Source:
    """The part of a checkpoint that an export reads."""

    generator: nn.Module
    """The averaged generator as it was trained: float32, eval mode, BatchNorm in place, images about [-1, 1]."""
    config: Config
    preparation: Preparation
    dataset: str
    """Name of the data set."""
    images_seen: int
    sha256: str
    """SHA-256 of the checkpoint file, in hexadecimal."""

    def card(self, *, licence: str, parity: dict[str, Any], directions: Directions = ()) -> ModelCard:
        """The record that the exported file will carry."""
        return ModelCard(
            architecture=self.config.architecture,
            resolution=self.config.size,
            z_dim=self.config.z_dim,
            preparation=self.preparation,
            dataset=utf8(self.dataset),
            images_seen=self.images_seen,
            licence=utf8(licence),
            checkpoint_sha256=self.sha256,
            parity=parity,
            directions=directions,
        )

    def config_json(self) -> str:
        """The whole configuration of the run, for the exported file's metadata."""
        return json.dumps(self.config.to_dict(), sort_keys=True)


def read_source(path: str | os.PathLike[str]) -> Source:
    """Rebuild the averaged generator of a checkpoint.

    Raises UserError when the file is missing, unreadable, damaged or no checkpoint of trainface, when its weights do
    not fit its own configuration, and when a training run replaced it while it was read.
    """
    path = Path(path)
    state, sha256 = read_state(path, checkpoint.load)
    with naming_damage(path):
        config = Config.from_dict(state["config"])
        return Source(
            generator=_rebuild(state),
            config=config,
            preparation=prepared_at(config.size, state["preparation"]),
            dataset=str(state["data"]["name"]),
            images_seen=count(state["cur_nimg"]),
            sha256=sha256,
        )


def read_state(path: Path, load: Callable[[Path], dict[str, Any]]) -> tuple[dict[str, Any], str]:
    """What `load` reads of a checkpoint, and the SHA-256 of the file.

    Raises UserError as `load` does, when the file cannot be read, and when a training run replaced it meanwhile.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise UserError(f"{path}: is a device or a pipe; give the checkpoint.pt of a run")
    try:
        sha256 = sha256_of(path) if path.is_file() else ""
        state = load(path)
        unchanged = sha256_of(path) == sha256
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not unchanged:
        raise UserError(f"{path}: was replaced while it was read, by a run that goes on; give the command again")
    return state, sha256


@contextmanager
def naming_damage(path: Path) -> Iterator[None]:
    """Turn what a damaged checkpoint leads to into a UserError that names the file, and let others name it too."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise UserError(f"{path}: damaged, it lacks or garbles {error}; take an earlier checkpoint") from error


@contextmanager
def naming_misfits() -> Iterator[None]:
    """Turn torch's refusal of weights into a UserError."""
    try:
        yield
    except RuntimeError as error:
        # torch lists every tensor that does not fit; the first is enough to know.
        reason = str(error).splitlines()[1:2] or [str(error)]
        raise UserError(
            f"its weights do not fit its own configuration ({reason[0].strip()}); take an earlier checkpoint"
        ) from error


def refuse_infinite(network: nn.Module) -> None:
    """Raise UserError for weights that are not finite."""
    if bad := [name for name, tensor in network.state_dict().items() if not tensor.isfinite().all()]:
        raise UserError(f"its weights are not all finite ({', '.join(bad)}); take an earlier checkpoint")


def prepared_at(size: int, record: dict[str, Any]) -> Preparation:
    """The preparation of a checkpoint whose network works at `size` px. Raises UserError where the two differ."""
    preparation = Preparation.from_dict(record)
    if preparation.size != size:
        raise UserError(
            f"damaged, its faces were prepared at {preparation.size} px and its network is for {size} px; take an"
            " earlier checkpoint"
        )
    return preparation


def _rebuild(state: dict[str, Any]) -> nn.Module:
    """The averaged generator that scored best, checked."""
    with naming_misfits():
        generator, _ = averaged_generator(state)
    refuse_infinite(generator)
    with torch.inference_mode():
        pictures = generator(torch.from_numpy(latents(0, range(2), int(state["config"]["z_dim"]))))
    if not pictures.isfinite().all():
        raise UserError("its weights are so large that its pictures are not finite; take an earlier checkpoint")
    return generator


def count(value: Any) -> int:
    """A number of pictures from a checkpoint. Raises ValueError for a negative one."""
    number = int(value)
    if number < 0:
        raise ValueError(f"a count of {number} images")
    return number


def utf8(text: str) -> str:
    r"""Text as metadata can hold it: bytes of a name that are no text, which Python keeps as `\udcXX`, are spelled."""
    return text.encode(errors="backslashreplace").decode()
