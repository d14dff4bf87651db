"""How far the exported forms are from the network that they were made of, on the same latents; and if that is allowed.

Two questions are asked of each form. Are the numbers right: the last float tensor, in units of [-1, 1], before any
clamping, since a clamp would only hide differences. Are the pictures right: the uint8 values after quantising. A third
is asked of forms whose last nodes can be run alone: do they quantise made-up values, far outside [-1, 1] too, exactly
as genface does, whatever the precision of the rest? A generator that ends in tanh never leaves [-1, 1], so its pictures
don't show that a clamp is missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar, get_type_hints

import numpy as np

from exportface.figures import Floats, Levels, Row, Spread, Tally
from exportface.tolerances import TOLERANCES, Tolerance
from genface.contract import to_rgb
from genface.cores import usable_cores
from genface.errors import UserError
from genface.latents import latents

_Record = TypeVar("_Record")

SEED = 20_231_109
"""Seed of the latents that parity is measured on (`genface.latents`): none that a training run saw."""
PLAN: Mapping[int, int] = {1: 16, 3: 16, 64: 3}
"""Batch size to number of batches. Three million numbers of a 64 px generator; what is wrong in a graph shows in the
first picture, and more of them would make an export of the largest preset take minutes."""
NUM_LATENTS = sum(batch * batches for batch, batches in PLAN.items())
"""256 in all."""

MIN_STD = 0.2
"""Standard deviation in [-1, 1] from which on the pictures say something: those of an untrained net are flat."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """One form of the generator, ready to run."""

    run: Callable[[Floats], tuple[Floats, Levels]]
    """z float32 [N, z_dim] -> the last float tensor, float32 [N, 3, H, W], and the pictures, uint8 [N, H, W, 3]."""
    quantise: Callable[[Floats], Levels] | None = None
    """The form's last nodes alone, float32 [N, 3, H, W] -> uint8 [N, H, W, 3]; None where they can't be run alone."""
    tolerance: Tolerance = TOLERANCES["fp32"]
    """How far it may be from the reference."""


@dataclass(frozen=True, kw_only=True)
class Parity:
    """All figures of one check."""

    images: int
    output_std: float
    """Standard deviation of the reference's pictures, clamped to [-1, 1]."""
    rows: tuple[Row, ...]
    """By form, in the order that the forms were given in."""
    tolerances: Mapping[str, Tolerance]
    """Form to what was allowed to it."""
    quantiser_errors: Mapping[str, int]
    """Form to number of made-up values that its last nodes quantise otherwise than genface does."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Form that cannot run at all on this machine to the reason; it is told, and is no difference."""

    @property
    def failures(self) -> list[str]:
        """What is beyond the tolerances, in words; empty when all is well."""
        found = [failure for row in self.rows for failure in row.failures(self.tolerances[row.form])]
        for form, errors in self.quantiser_errors.items():
            if errors:
                found.append(f"{form}: {errors} made-up values are clamped, rounded or ordered wrongly")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the seed and the tolerances; what is not a finite number becomes None."""
        return {
            "seed": SEED,
            "images": self.images,
            "output_std": _plain(self.output_std),
            "tolerances": {form: asdict(tolerance) for form, tolerance in self.tolerances.items()},
            "rows": [{name: _plain(value) for name, value in asdict(row).items()} for row in self.rows],
            "quantiser_errors": dict(self.quantiser_errors),
            "refused": dict(self.refused),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Parity:
        """What `to_dict` gave, from JSON; keys that it does not know are left alone.

        Raises UserError when something is missing, or has another type than it was written with.
        """
        try:
            parity = cls(
                images=_read(record, "images", int),
                output_std=_read(record, "output_std", float),
                rows=tuple(_from_record(Row, row) for row in record["rows"]),
                tolerances={form: _from_record(Tolerance, row) for form, row in record["tolerances"].items()},
                quantiser_errors={
                    form: _read(record["quantiser_errors"], form, int) for form in record["quantiser_errors"]
                },
                refused={form: _read(record["refused"], form, str) for form in record["refused"]},
            )
            if any(row.form not in parity.tolerances for row in parity.rows):
                raise KeyError("tolerances")
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"its parity figures are damaged ({error}): export it again") from error
        return parity


def measure(
    reference: Form,
    forms: Mapping[str, Form],
    z_dim: int,
    *,
    plan: Mapping[int, int] = PLAN,
    refused: Mapping[str, str] | None = None,
    draw: Callable[[range], Floats] | None = None,
) -> Parity:
    """Hold `forms` against `reference` on fresh latents, at every batch size of `plan` (size to number of batches).

    Forms run side by side, one per usable core. `refused` is passed on. `draw` gives what they are fed, float32
    [N, z_dim], for the indices 0 to 255 in turn, where that is not the standard normal latents of `SEED`.
    """
    assert plan
    draw = draw or (lambda indices: latents(SEED, indices, z_dim))
    spread, rows, done = Spread(), [], 0
    with ThreadPoolExecutor(usable_cores()) as pool:
        for batch, batches in plan.items():
            tallies = {name: Tally(images=batch * batches) for name in forms}
            for _ in range(batches):
                z = draw(range(done, done + batch))
                others = [pool.submit(form.run, z) for form in forms.values()]
                floats, levels = reference.run(z)
                spread.add(floats)
                for tally, other in zip(tallies.values(), others, strict=True):
                    tally.add(floats, levels, *other.result())
                done += batch
            rows += [tally.row(name, batch) for name, tally in tallies.items()]
    height, width = floats.shape[2:]
    return Parity(
        images=done,
        output_std=spread.std(),
        rows=tuple(row for name in forms for row in rows if row.form == name),
        tolerances={name: form.tolerance for name, form in forms.items()},
        quantiser_errors={
            name: quantiser_errors(form.quantise, height, width)
            for name, form in forms.items()
            if form.quantise is not None
        },
        refused=refused or {},
    )


def quantiser_errors(quantise: Callable[[Floats], Levels], height: int, width: int) -> int:
    """Count the made-up values that `quantise` takes otherwise than `genface.contract.to_rgb`.

    Exact equality is asked: one multiplication, one addition and a rounding leave no room for another order of sums.
    """
    made_up = _made_up_floats(height, width)
    return int(np.count_nonzero(quantise(made_up) != to_rgb(made_up, "NCHW", "-1 to 1")))


def _made_up_floats(height: int, width: int) -> Floats:
    """float32 [N, 3, H, W]: every level from -383 to 638, every border between two levels, and far beyond; shuffled."""
    steps = np.arange(-2 * 383, 2 * 638 + 1) / 2.0
    values = np.concatenate([(steps - 127.5) / 127.5, np.array([-1e4, 1e4, -0.0, 0.0])])
    images = math.ceil(len(values) / (3 * height * width))
    filled = np.resize(values, images * 3 * height * width)
    return np.random.default_rng(0).permutation(filled).reshape(images, 3, height, width).astype(np.float32)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _read(record: Mapping[str, Any], name: str, kind: type) -> Any:
    """A value of a record, of the type that it was written with; None stands for what was not a finite number."""
    value = record[name]
    if value is None and kind is float:
        return math.nan
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise TypeError(f"{name} is {value!r}")
    return value


def _from_record(kind: type[_Record], record: Mapping[str, Any]) -> _Record:
    types = get_type_hints(kind)
    return kind(**{name: _read(record, name, types[name]) for name in types})
