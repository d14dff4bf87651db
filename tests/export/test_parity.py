"""What a parity check measures, what it allows, and how it is told and stored."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from exportface import forms
from exportface.figures import Row
from exportface.forms import onnx_form, onnx_forms
from exportface.parity import MIN_STD, NUM_LATENTS, PLAN, Form, Parity, measure, quantiser_errors
from exportface.report import parity_lines, warning
from exportface.tolerances import TOLERANCES, tolerance_for
from genface.contract import to_rgb
from genface.errors import UserError
from genface.providers import Provider, find_provider


@pytest.mark.parametrize("name", ["tiny", "tiny-dcgan", "s64", "dcgan64"])
def test_pytorch_onnx_runtime_and_torchscript_agree(exported: Any, name: str) -> None:
    made = exported(name)
    parity = made.parity(onnx_form(made.model), made.torchscript())
    assert parity.failures == []
    assert parity.output_std >= MIN_STD, "an untrained net proves nothing"
    assert [(row.form, row.batch) for row in parity.rows] == [(f"form {i}", batch) for i in (0, 1) for batch in PLAN]
    assert parity.quantiser_errors == {"form 0": 0}


def test_the_plan_covers_the_batch_sizes_and_enough_values_for_its_percentile() -> None:
    assert set(PLAN) == {1, 3, 64}
    for batch, batches in PLAN.items():
        assert batch * batches * 3 * 64 * 64 >= 1e5, "of 64 px, ten values lie beyond the 99.99th percentile"
    assert NUM_LATENTS == 256


ROW = Row(
    form="f",
    batch=1,
    images=9,
    max_delta=9e-5,
    mean_delta=0.0,
    p9999_delta=0.0,
    max_levels=1,
    mean_levels=0.0009,
    identical=0.9991,
)


PARITY = Parity(images=9, output_std=0.19, rows=(ROW,), tolerances={"f": TOLERANCES["fp32"]}, quantiser_errors={"f": 3})


@pytest.mark.parametrize(
    "change",
    [
        {"max_delta": 1.1e-4},
        {"max_delta": np.nan},
        {"max_levels": 2},
        {"mean_levels": 0.0011},
        {"identical": 0.9989},
    ],
)
def test_each_bound_is_held(change: dict[str, float]) -> None:
    assert ROW.failures(TOLERANCES["fp32"]) == []
    assert len(replace(ROW, **change).failures(TOLERANCES["fp32"])) == 1


def test_tolerances_of_file_and_arithmetic_meet() -> None:
    fp32, bf16, fp16 = (TOLERANCES[name] for name in ("fp32", "bf16", "fp16"))
    assert tolerance_for("fp32", "fp32") == tolerance_for("fp32") == fp32
    assert tolerance_for("fp16", "fp32") == fp16
    assert tolerance_for("fp32", "bf16") == bf16
    both = tolerance_for("fp16", "bf16")
    assert both.max_delta == fp16.max_delta + bf16.max_delta
    assert both.max_levels == fp16.max_levels + bf16.max_levels
    assert both.min_identical == pytest.approx(1 - (1 - fp16.min_identical) - (1 - bf16.min_identical))
    with pytest.raises(KeyError):
        tolerance_for("provider's default")


def test_no_tolerance_lets_a_wrong_network_pass() -> None:
    """Pictures of two nets, or in another order of colours, differ by tens of levels in the mean."""
    for tolerance in TOLERANCES.values():
        assert tolerance.mean_levels <= 3.0
        assert tolerance.reason


def test_figures_survive_json() -> None:
    parity = replace(PARITY, refused={"g": "no"})
    assert Parity.from_dict(json.loads(json.dumps(parity.to_dict(), allow_nan=False)) | {"newer": 1}) == parity


def test_what_is_not_finite_is_no_number_in_json() -> None:
    parity = replace(PARITY, rows=(replace(ROW, max_delta=np.nan),))
    again = Parity.from_dict(json.loads(json.dumps(parity.to_dict(), allow_nan=False)))
    assert np.isnan(again.rows[0].max_delta)
    assert len(again.failures) == len(parity.failures) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"images": "9"},
        {"rows": [{}]},
        {"rows": None},
        {"rows": ["x"]},
        {"tolerances": {"f": {"max_delta": 1}}},
        {"tolerances": {}},
        {"refused": 3},
        {"quantiser_errors": {"f": 0.5}},
    ],
)
def test_damaged_figures(change: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="parity figures are damaged"):
        Parity.from_dict(PARITY.to_dict() | change)


def _plain_form(shift: float = 0.0, poison: bool = False) -> Form:
    """Pictures that are a shuffled copy of the latents, 8x8 from 192 numbers."""

    def run(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        floats = (0.3 * z).reshape(-1, 3, 8, 8).astype(np.float32)
        levels = to_rgb(floats, "NCHW", "-1 to 1")
        noise = np.random.default_rng(len(z)).random(floats.shape, dtype=np.float32)
        floats = floats + np.float32(shift) * noise
        if poison:
            floats[0, 0, 0, 0] = np.nan
        return floats, levels

    return Form(run=run)


def test_figures_are_those_of_numpy() -> None:
    plan = {50: 1, 7: 3}
    parity = measure(_plain_form(), {"noisy": _plain_form(shift=1e-3)}, 192, plan=plan)
    for row, batches in zip(parity.rows, plan.values(), strict=True):
        noise = np.random.default_rng(row.batch).random((row.batch, 192), dtype=np.float32)
        deltas = np.tile(np.float32(1e-3) * noise, (batches, 1))
        # One rounding of fp32 numbers about 1, twice: 1.2e-7.
        assert row.max_delta == pytest.approx(deltas.max(), abs=2e-7)
        assert row.mean_delta == pytest.approx(deltas.mean(), abs=1e-7)
        assert row.p9999_delta == pytest.approx(np.quantile(deltas, 0.9999, method="higher"), abs=2e-7)
        assert (row.images, row.max_levels, row.identical) == (row.batch * batches, 0, 1.0)
    # A normal of deviation 0.3, cut at 1, has deviation 0.2998.
    assert parity.output_std == pytest.approx(0.3, abs=0.01)
    assert [row.batch for row in parity.rows if row.failures(TOLERANCES["fp32"])] == [50, 7]


def test_a_form_that_gives_nan_fails() -> None:
    assert measure(_plain_form(), {"nan": _plain_form(poison=True)}, 192, plan={5: 1}).failures


@pytest.mark.parametrize("side", [8, 64])
def test_made_up_values_reach_every_level_and_beyond(side: int) -> None:
    seen: Iterator[np.ndarray] = iter([])

    def keep(floats: np.ndarray) -> np.ndarray:
        nonlocal seen
        seen = iter([floats])
        return to_rgb(floats, "NCHW", "-1 to 1")

    assert quantiser_errors(keep, side, side) == 0
    floats = next(seen)
    assert floats.shape[1:] == (3, side, side)
    assert set(range(256)) == set(to_rgb(floats, "NCHW", "-1 to 1").ravel().tolist())
    assert floats.min() < -100
    assert floats.max() > 100
    levels = floats * np.float32(127.5) + np.float32(127.5)
    assert np.count_nonzero(np.unique(levels) % 1 == 0.5) > 100, "borders of two levels"


def test_flat_pictures_are_warned_about() -> None:
    assert "0.190, under 0.2" in (warning(PARITY) or "")
    assert warning(replace(PARITY, output_std=0.2)) is None


def test_the_table_tells_forms_by_tolerance_and_what_is_wrong() -> None:
    coarse = replace(ROW, form="g", batch=3)
    parity = replace(
        PARITY,
        rows=(coarse, ROW, replace(ROW, batch=3)),
        tolerances={"g": TOLERANCES["bf16"], "f": TOLERANCES["fp32"]},
        refused={"h": "no such operator"},
    )
    _, _, *lines = parity_lines(parity)
    assert [line.split()[0] for line in lines] == ["g", "allowed", "f", "3", "allowed", "f:", "h:", "standard"]
    assert "3 made-up values" in lines[5]
    assert "no such operator" in lines[6]
    assert max(map(len, lines)) <= 100


def test_every_runtime_of_this_machine_is_compared(exported: Any) -> None:
    made = exported("tiny")
    sessions = onnx_forms(made.model)
    assert "ONNX, cpu fp32" in sessions.forms
    assert sessions.refused == {}
    parity = made.parity(*sessions.forms.values(), plan={3: 2})
    assert parity.failures == []
    assert set(parity.quantiser_errors.values()) == {0}


def test_a_runtime_that_refuses_the_graph_is_told(exported: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, open_session = find_provider("cpu"), forms.open_session
    strange = replace(cpu, name="strange")

    def open_unless_refused(graph: bytes, provider: Provider) -> Any:
        if provider.name in refused:
            raise UserError("no such operator")
        return open_session(graph, provider)

    refused = {"strange"}
    monkeypatch.setattr(forms, "usable_providers", lambda: [cpu, strange])
    monkeypatch.setattr(forms, "open_session", open_unless_refused)
    sessions = onnx_forms(exported("tiny").model)
    assert list(sessions.forms) == ["ONNX, cpu fp32"]
    assert sessions.refused == {"ONNX, strange fp32": "no such operator"}

    refused.add("cpu")
    with pytest.raises(UserError, match="no such operator"):
        onnx_forms(exported("tiny").model)


@pytest.mark.parametrize("name", ["z", "images_float", "images"])
def test_a_graph_of_other_names_is_refused(exported: Any, name: str) -> None:
    model = copy.deepcopy(exported("tiny").model)
    for part in (*model.graph.node, *model.graph.input, *model.graph.output):
        for field in ("input", "output"):
            for index, value in enumerate(getattr(part, field, [])):
                if value == name:
                    getattr(part, field)[index] = "other"
        if part.name == name:
            part.name = "other"
    with pytest.raises(UserError, match="was altered"):
        onnx_form(model)
