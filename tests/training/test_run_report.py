"""The report of a run: everything from its folder, every number measured, what is missing said."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from genface.errors import UserError
from genface.photos import Preparation
from trainface import checkpoint
from trainface.config import Architecture, Config, Loss, Penalty, Regime
from trainface.data.dataset import FaceSet
from trainface.history import Event, History, Score
from trainface.logbook import Logbook
from trainface.networks import build_generator
from trainface.presets import PRESETS, preset
from trainface.report import artefacts, bands, describe, readings, recipe
from trainface.report.curves import Lang
from trainface.report.run_report import finish, gather, render
from trainface.weights import write_weights

QUIET = lambda line: None  # noqa: E731
LANGS: tuple[Lang, ...] = ("en", "ru")


@pytest.fixture
def run(tmp_path: Path, tiny: Config) -> Path:
    """A run folder as a short run leaves it, with a score and an event."""
    torch.manual_seed(0)
    path = tmp_path / "try"
    state = {
        "config": tiny.to_dict(),
        "preparation": Preparation(size=16).to_dict(),
        "data": {"name": "noise", "key": "0" * 64, "images": 64, "holdout": {"share": 0.05, "sha256": ["a", "b"]}},
        "origin": None,
        "cur_nimg": 400,
        "ema": {"0.1": build_generator(tiny).state_dict()},
        "best_ema": "0.1",
    }
    logbook = Logbook(path, 0)
    checkpoint.save(state, path / "checkpoint.pt")
    for cur_nimg in (200, 400):
        logbook.grid(np.full((64, 16, 16, 3), cur_nimg // 2, np.uint8), cur_nimg)
        means = {"d_loss": 0.6, "g_loss": 0.9, "pair_accuracy": 0.75}
        logbook.tick(cur_nimg=cur_nimg, total_nimg=400, tick_nimg=200, seconds=2.0, means=means, schedules={})
        logbook.score(cur_nimg, {"0.1": {"kid": cur_nimg / 1e4, "frechet": 9.0}}, "0.1")
    logbook.event(400, "gamma was doubled")
    logbook.close()
    return path


@pytest.mark.parametrize("lang", LANGS)
def test_a_report_is_made_of_the_run_folder_alone(run: Path, lang: Lang) -> None:
    path = finish(run, QUIET, lang=lang)
    text = path.read_text()
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert {"curves.png", "progress.gif", "walks.png", "faces.png"} == set(pictures)
    assert all((run / name).stat().st_size > 100 for name in pictures)
    assert "gamma was doubled" in text
    assert "trainface noise --run runs/try --preset tiny" in text
    assert bands.NO_REALS[lang] in text
    # KID x 1000 of the best and of the last score.
    row = next(line for line in text.splitlines() if line.startswith("| KID"))
    assert [cell.strip().replace(",", ".") for cell in row.split("|")[2:4]] == ["20.0", "40.0"]


def test_with_reals_every_artefact_has_its_reference(run: Path, faces: FaceSet) -> None:
    finish(run, QUIET, reals=faces.images)
    text = (run / "report.md").read_text()
    assert (run / "reals.png").exists()
    assert bands.NO_REALS["en"] not in text
    shown = readings.number(artefacts.measure(faces.images).sharpness, "en")
    assert f"| {shown} |" in text


def test_a_report_without_reals_takes_an_earlier_ones_picture_away(run: Path, faces: FaceSet) -> None:
    finish(run, QUIET, reals=faces.images)
    finish(run, QUIET)
    assert not (run / "reals.png").exists()


def test_reals_are_measured_and_not_shown_where_their_terms_forbid_it(run: Path, faces: FaceSet) -> None:
    finish(run, QUIET, reals=faces.images, show_reals=False)
    text = (run / "report.md").read_text()
    assert not (run / "reals.png").exists()
    assert "reals.png" not in text
    facts, _ = gather(run, QUIET, reals=faces.images)
    assert facts.reals is not None
    assert f"{facts.reals.sharpness:,.0f}"[:3] in text


def test_the_best_checkpoint_is_drawn_from_where_there_is_one(run: Path) -> None:
    state = checkpoint.load(run / "checkpoint.pt")
    state = {name: value for name, value in state.items() if name not in ("kind", "format_version")}
    checkpoint.save(state | {"cur_nimg": 200}, run / "best.pt")
    facts, _ = gather(run, QUIET)
    assert (facts.checkpoint, facts.cur_nimg) == ("best.pt", 200)


def test_the_weights_that_ship_can_be_drawn_from(run: Path) -> None:
    state = checkpoint.load(run / "checkpoint.pt")
    state = {name: value for name, value in state.items() if name not in ("kind", "format_version")}
    checkpoint.save(state | {"D": {}}, run / "whole.pt")
    write_weights(run / "whole.pt", run / "weights.pt")
    facts, _ = gather(run, QUIET, drawn_from=run / "weights.pt")
    assert facts.checkpoint == "weights.pt"
    finish(run, QUIET, drawn_from=run / "weights.pt")
    assert "`weights.pt`" in (run / "report.md").read_text()


def test_a_run_that_left_no_log_is_reported_on_all_the_same(run: Path) -> None:
    (run / "log.jsonl").unlink()
    facts, pictures = gather(run, QUIET)
    text = render(facts, "en", {name: name for name in pictures})
    assert "curves.png" not in pictures
    assert "nor its course is known" in text
    assert "was not scored" in text


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"checkpoint\.pt: no such checkpoint"):
        finish(tmp_path, QUIET)


@pytest.mark.parametrize("name", ["s64", "l64", "dcgan64", "dcgan64-tricks", "msg128", "progressive128"])
@pytest.mark.parametrize("lang", LANGS)
def test_every_preset_can_be_described(run: Path, name: str, lang: Lang) -> None:
    config = preset(name)
    facts = replace(gather(run, QUIET)[0], config=config)
    text = render(facts, lang, {})
    assert describe.networks(config, lang) in text
    assert all(phrase in text for phrase in describe.tricks(config, lang))
    assert ("gamma" in text.split("## ")[2]) == (config.gamma.start > 0)


def test_every_choice_has_its_phrase_in_both_languages() -> None:
    for table, kind in (
        (describe.ARCHITECTURES, Architecture),
        (describe.REGIMES, Regime),
        (describe.LOSSES, Loss),
        (describe.PENALTIES, Penalty),
    ):
        assert set(table) == set(get_args(kind))
        assert all(set(text) == set(LANGS) for text in table.values())
    assert set(describe.TRICKS) <= {field.name for field in fields(Config)}


@pytest.mark.parametrize("name", PRESETS)
def test_the_command_gives_the_configuration_back(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line is parsed by the command itself."""
    from genface.commands import run_app
    from trainface.cli import app

    (tmp_path / "my faces").mkdir()
    monkeypatch.chdir(tmp_path)
    config = replace(preset(name), seed=7, kimg=12.5, x_flip=False, decay_kimg=3.0)
    command = recipe.training_command(config, src="my faces", run="runs/x", preparation=Preparation(size=config.size))
    program, *arguments = shlex.split(command)
    assert program == "trainface"
    with pytest.raises(SystemExit) as leave:
        run_app(app, program, [*arguments, "--dry-run"])
    assert leave.value.code == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert {key: said[key] for key in config.to_dict()} == config.to_dict()
    assert said["src"] == "my faces"


def test_a_preset_as_it_is_needs_no_settings() -> None:
    config = preset("tiny")
    command = recipe.training_command(
        config, src="a", run="r", preparation=Preparation(size=16), init_from="other run/checkpoint.pt"
    )
    assert command == "trainface a --run r --preset tiny --init-from 'other run/checkpoint.pt'"


def test_the_command_names_the_crop_and_the_offline_augmentation() -> None:
    augment = {"file": "my flips.json", "sha256": "0" * 64, "copies": 3, "albumentations": "2.0.8"}
    command = recipe.training_command(
        preset("tiny"), src="a", run="r", preparation=Preparation(size=16, crop="face"), augment=augment
    )
    assert command.endswith("--crop face --offline-augment 'my flips.json' --augment-copies 3")


@pytest.mark.parametrize(
    ("value", "lang", "text"),
    [
        (1659.4, "en", "1,659"),
        (1659.4, "ru", "1\u00a0659"),
        (0.0123, "ru", "0,0123"),
        (0.0, "en", "0"),
        (float("nan"), "en", "—"),
    ],
)
def test_numbers_are_written_as_the_language_does(value: float, lang: Lang, text: str) -> None:
    assert readings.number(value, lang) == text


@pytest.mark.parametrize(("value", "word"), [(0.1, "collapse"), (1.0, "about as varied"), (9.0, "more varied")])
def test_a_value_falls_into_its_band(value: float, word: str) -> None:
    assert word in readings.read_bands(value, bands.DIVERSITY, "en")


def test_bands_rise_and_speak_both_languages() -> None:
    tables = [table for table in vars(bands).values() if isinstance(table, tuple) and isinstance(table[0], tuple)]
    assert len(tables) == 8
    for table in tables:
        ends = [end for end, _ in table]
        assert ends == sorted(ends)
        assert ends[-1] == float("inf")
        assert all(set(text) == set(LANGS) and all(text.values()) for _, text in table)


def test_the_course_is_read() -> None:
    ticks = ({"kimg": 1.0, "images_per_second": 1.0, "pair_accuracy": 0.99},)
    scores = tuple(
        Score(kimg=kimg, by_ema={"5": {"kid": kid}}, best_ema="5") for kimg, kid in ((10.0, 0.1), (20.0, 0.15))
    )
    history = History(ticks=ticks, scores=scores, events=(Event(kimg=1, message="x"),))
    balance, course = readings.read_course(history, preset("s64"), "en")
    assert "too strong" in balance
    assert course == "KID was best at 10.0 kimg; at the end it is 50 % higher."
    assert len(readings.read_course(history, preset("dcgan64"), "en")) == 1, "labels, not pairs, are what BCE teaches"
    assert readings.read_course(History(), preset("s64"), "ru") == []
