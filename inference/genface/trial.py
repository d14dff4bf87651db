"""The first block that a generator draws: it proves that the graph runs, and tells what the graph does not declare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genface.contract import (
    VALUE_RANGES,
    Answers,
    Contract,
    Port,
    ValueRange,
    listed,
    measured_range,
    possible_pictures,
    read_layout,
    read_ports,
)
from genface.errors import UserError
from genface.feed import Feed, read_feed
from genface.latents import latents
from genface.runner import Runner

# Lengths of a latent that are tried where the graph leaves it open; published generators have 64 to 512.
_LENGTHS = range(1, 1025)
# In a block: far more than any generator's, and not yet a burden where a damaged file asks for it.
_MOST_NUMBERS = 1 << 22


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What was found by drawing one block of seed 0."""

    feed: Feed
    contract: Contract
    value_range: ValueRange
    block: int
    """Pictures that the graph is fed at once."""
    pictures: NDArray[Any]
    """The block as the graph gave it."""


def draw_trial(session: Any, runner: Runner, *, block: int, answers: Answers) -> Trial:
    """Draw one block, of `block` pictures where the graph does not fix it, and read the rest of the contract from it.

    Raises UserError when the graph's inputs or outputs are no generator's, when something is to be answered, and when
    what it draws is no block of pictures.
    """
    outputs = read_ports(session.get_outputs())
    feed = read_feed(read_ports(session.get_inputs()), read_ports(session.get_overridable_initializers()), answers)
    possible = possible_pictures(outputs, answers.output)
    block = feed.fixed_batch or block
    if feed.z_dim is None:
        feed = replace(feed, z_dim=_found_length(runner, feed, possible[0].name))
    z_dim = feed.latent_shape[0]
    if block * z_dim > _MOST_NUMBERS:
        raise UserError(
            f"takes {block:,} latents of {z_dim:,} numbers at a time; genface feeds {_MOST_NUMBERS:,} at most"
        )
    z = latents(0, range(block), z_dim)
    drawn = list(zip(possible, runner.run(feed.arrays(z), [port.name for port in possible]), strict=True))
    port, pictures = _the_pictures(drawn)
    if len(pictures) != block:
        raise UserError(f"gave {len(pictures)} pictures for {block} latents")
    if not np.isfinite(pictures).all():
        raise UserError("gives values that are not finite")
    picture_type = pictures.dtype.name
    layout = read_layout(pictures.shape, picture_type)
    assert layout is not None
    contract = Contract(
        input_name=feed.latent_name,
        latent_shape=feed.latent_shape,
        latent_type=feed.latent_type,
        fixed_batch=feed.fixed_batch,
        output_name=port.name,
        picture_type=picture_type,
        picture_shape=pictures.shape[1:],
        layout=layout,
        unused_outputs=tuple(other.name for other in outputs if other.name != port.name),
    )
    return Trial(
        feed=feed,
        contract=contract,
        value_range=_value_range(contract, pictures, answers.value_range),
        block=block,
        pictures=pictures,
    )


def _the_pictures(drawn: Sequence[tuple[Port, NDArray[Any]]]) -> tuple[Port, NDArray[Any]]:
    """The one output that turned out to hold pictures."""
    found = [(port, array) for port, array in drawn if read_layout(array.shape, array.dtype.name)]
    if not found:
        shapes = ", ".join(f"{port.name} of shape {list(array.shape)}" for port, array in drawn)
        raise UserError(f"gives no pictures: {shapes}; pictures are [N, H, W, C] or [N, C, H, W], where C is 3 or 1")
    if len(found) > 1:
        ports = [port for port, _ in found]
        names = " or ".join(port.name for port in ports)
        raise UserError(
            f"gives several outputs that may be the pictures ({listed(ports)}): say which by --output {names}"
        )
    return found[0]


def _found_length(runner: Runner, feed: Feed, output: str) -> int:
    """The only length of a latent that the graph's layers take, one picture to a latent."""
    batch = feed.fixed_batch or 1
    found: list[int] = []
    for length in _LENGTHS:
        try:
            (pictures,) = runner.run(feed.arrays(np.zeros((batch, length), dtype=np.float32)), [output])
        except UserError:
            continue
        if pictures.shape[:1] == (batch,):
            found.append(length)
        if len(found) > 1:
            break
    if len(found) != 1:
        taken = (
            f"{found[0]} and {found[1]} numbers alike" if found else f"none of {_LENGTHS[0]} to {_LENGTHS[-1]} numbers"
        )
        raise UserError(
            f"does not tell how long its latent {feed.latent_name} is, and takes {taken}: say it by --z-dim"
        )
    return found[0]


def _value_range(contract: Contract, pictures: NDArray[Any], said: str | None) -> ValueRange:
    if contract.is_float:
        return VALUE_RANGES[said] if said else measured_range(pictures)
    if said not in (None, "0:255"):
        raise UserError(f"gives uint8 pictures, whose range is 0:255, not {said}")
    return "0 to 255"
