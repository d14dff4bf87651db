"""Training a stylizer: what is asked for at each strength, a tiny run, and going on bit for bit."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from genface.errors import UserError
from trainface.checkpoint import load_kind
from trainface.data.dataset import FaceSet
from trainface.settings import meanings, table_of
from trainface.style.config import PRESETS, StyleConfig, preset
from trainface.style.features import Features, choose_features
from trainface.style.network import build_stylizer
from trainface.style.paintings import draw
from trainface.style.train import StyleTask, at_full_strength, draw_weights, mixed_grams, read_paintings
from trainface.supervised.run import train_run

TINY: StyleConfig = replace(PRESETS["tiny"], paintings=("dots", "glass"), holdout=0.2)


@pytest.fixture(scope="module")
def lite0() -> Features:
    return choose_features("lite0", say=lambda line: None)


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("paintings")
    for name in ("dots", "glass"):
        draw(name, 64).save(folder / f"{name}.png")
    return [folder / "dots.png", folder / "glass.png"]


def run_it(run: Path, config: StyleConfig, faces: FaceSet, painted: list[Path], features: Features) -> dict[str, Any]:
    reached = train_run(
        run,
        config,
        device_name="cpu",
        kind=StyleTask.kind,
        format_version=StyleTask.format_version,
        open_task=lambda device: StyleTask(
            config, faces, read_paintings(painted, config.painting_size), features, device
        ),
    )
    assert reached
    return load_kind(run / "checkpoint.pt", StyleTask.kind, StyleTask.format_version)


def flat(state: Any, path: str = "") -> dict[str, Any]:
    if isinstance(state, dict):
        return {name: value for key, part in state.items() for name, value in flat(part, f"{path}/{key}").items()}
    if isinstance(state, list | tuple):
        return {name: value for key, part in enumerate(state) for name, value in flat(part, f"{path}/{key}").items()}
    return {path: state}


def test_weights_sum_to_one_and_have_one_style_each() -> None:
    rows = draw_weights(400, 3, 0.6, torch.Generator().manual_seed(0))
    assert rows.shape == (400, 4)
    torch.testing.assert_close(rows.sum(1), torch.ones(400))
    assert (rows >= 0).all()
    assert ((rows[:, 1:] > 0).sum(1) <= 1).all()
    assert ((rows[:, 1:] > 0).sum(0) > 90).all(), "every style has its turn"
    # 240 expected, with a standard deviation of 10
    assert 200 < (rows[:, 0] == 0).sum() < 280


def test_at_full_strength() -> None:
    assert at_full_strength(2, 3, torch.device("cpu")).tolist() == [[0, 0, 1, 0]]


def test_wanted_grams_lie_between_photo_and_painting() -> None:
    own, paintings = torch.ones(3, 2, 2), torch.stack([torch.full((2, 2), 3.0), torch.full((2, 2), 9.0)])
    weights = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.0, 0.5], [0.0, 0.25, 0.75]])
    assert mixed_grams(weights, own, paintings)[:, 0, 0].tolist() == [1.0, 5.0, 7.5]


def test_a_resumed_run_equals_the_uninterrupted_one(
    tmp_path: Path, faces: FaceSet, painted: list[Path], lite0: Features
) -> None:
    # decay_kimg: a longer run shall not stretch the schedules.
    whole = run_it(tmp_path / "whole", replace(TINY, decay_kimg=1.0), faces, painted, lite0)
    half = replace(TINY, decay_kimg=1.0, kimg=0.01)
    run_it(tmp_path / "parts", half, faces, painted, lite0)
    parts = run_it(tmp_path / "parts", replace(half, kimg=0.02), faces, painted, lite0)
    ours, theirs = flat(whole), flat(parts)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        same = torch.equal(value, theirs[name]) if isinstance(value, torch.Tensor) else value == theirs[name]
        assert same, name


def test_what_a_run_leaves(tmp_path: Path, faces: FaceSet, painted: list[Path], lite0: Features) -> None:
    run = tmp_path / "run"
    state = run_it(run, TINY, faces, painted, lite0)
    assert state["cur_nimg"] == 20
    assert state["data"] == {"name": "noise", "key": "0" * 64, "images": 64}
    assert [style["name"] for style in state["styles"]] == ["dots", "glass"]
    assert all(len(style["sha256"]) == 64 for style in state["styles"])
    assert state["features"]["title"] == "EfficientNet-Lite0"
    assert state["embedder"] is None
    config = StyleConfig.from_dict(state["config"])
    assert config == TINY
    for weights in (state["networks"]["stylizer"], state["ema"]["stylizer"]):
        build_stylizer(config).load_state_dict(weights)
    # Four photos, each with two styles beside it.
    with Image.open(run / "grids" / "000000020.png") as grid:
        assert grid.size == (3 * 16, 4 * 16)
    log = (run / "log.jsonl").read_text()
    for name in ("held_style_dots", "held_style_glass", "held_content", "stylizer_grad_norm"):
        assert name in log


def test_training_lowers_the_style_loss(tmp_path: Path, faces: FaceSet, painted: list[Path], lite0: Features) -> None:
    config = replace(TINY, kimg=0.12, tick_kimg=0.06, ema_halflife_kimg=0.0, full_strength=1.0)
    run_it(tmp_path / "run", config, faces, painted, lite0)
    lines = [line for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines() if '"style"' in line]
    first, last = (float(line.split('"style": ')[1].split(",")[0]) for line in (lines[0], lines[-1]))
    assert last < first


def test_other_paintings_are_refused_on_resume(
    tmp_path: Path, faces: FaceSet, painted: list[Path], lite0: Features
) -> None:
    short = replace(TINY, kimg=0.004)
    run_it(tmp_path / "run", short, faces, painted, lite0)
    other = tmp_path / "dots.png"
    draw("wind", 64).save(other)
    with pytest.raises(UserError, match="another paintings"):
        run_it(tmp_path / "run", replace(short, kimg=0.008), faces, [other, painted[1]], lite0)


def test_two_paintings_of_one_name(tmp_path: Path, painted: list[Path]) -> None:
    (tmp_path / "dots.png").write_bytes(painted[0].read_bytes())
    with pytest.raises(UserError, match="second painting called dots"):
        read_paintings([painted[0], tmp_path / "dots.png"], 64)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": "8"}, "size"),
        ({"widths": "8,8"}, "three positive numbers"),
        ({"full_strength": "1.5"}, "full_strength"),
        ({"style_wieght": "1"}, "did you mean style_weight"),
        ({"painting_size": "4"}, "painting_size"),
    ],
)
def test_impossible_settings(settings: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        preset("tiny").with_settings(settings)


def test_every_setting_has_a_meaning_and_can_be_typed_back() -> None:
    shown = dict(line.split("  ")[0].split("=", 1) for line in table_of(preset("style128")).splitlines())
    assert set(shown) == {field.name for field in fields(StyleConfig)}
    assert all(len(meaning) > 10 for meaning in meanings(StyleConfig).values())
    del shown["preset"], shown["paintings"]
    assert preset("style128").with_settings({key: value.strip() for key, value in shown.items()}) == preset("style128")


def test_unknown_preset() -> None:
    with pytest.raises(UserError, match="known: style128"):
        preset("style1")


def test_photos_that_are_all_held_out(faces: FaceSet, painted: list[Path], lite0: Features) -> None:
    one = replace(faces, images=np.array(faces.images[:1]), names=faces.names[:1], digests=["0" * 64])
    with pytest.raises(UserError, match="all of its 1 photos are held out"):
        StyleTask(TINY, one, read_paintings(painted, 16), lite0, torch.device("cpu"))
