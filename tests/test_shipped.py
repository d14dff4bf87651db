"""The generators in models/: each is what its card, its weights and its scores say."""

from __future__ import annotations

import json
import re
import subprocess
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evalface.gaussian_file import read_statistics
from exportface.verify import verify
from exportface.verify_kinds import verify_any
from genface.model import Generator
from genface.stylizer import Stylizer
from trainface import checkpoint
from trainface.config import Config
from trainface.networks import build_discriminator, build_generator
from trainface.transfer import start_from

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "models"
NAMES = sorted(path.stem for path in MODELS.glob("*.onnx"))
LARGEST = 16 * 1024 * 1024
SIDE = 8


def test_some_ship() -> None:
    assert {"cats64", "faces64"} <= set(NAMES)


def test_no_file_is_too_large_to_ship() -> None:
    assert {path.name: path.stat().st_size for path in MODELS.rglob("*") if path.stat().st_size > LARGEST} == {}


@pytest.mark.parametrize("name", NAMES)
def test_its_sample_pictures_are_what_it_draws(name: str) -> None:
    generator = Generator(MODELS / f"{name}.onnx")
    drawn = generator.draw(seed=0, indices=range(SIDE * SIDE))
    side = drawn.shape[1]
    with Image.open(MODELS / name / "samples.png") as file:
        sheet = np.asarray(file).reshape(SIDE, side, SIDE, side, 3).swapaxes(1, 2).reshape(drawn.shape)
    # Another processor may add up in another order, which moves values on the border of two levels.
    apart = np.abs(sheet.astype(int) - drawn)
    assert apart.max() <= 1
    assert (apart > 0).mean() < 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_generator_of_the_weights_beside_it(name: str) -> None:
    verified = verify(MODELS / f"{name}.onnx", MODELS / f"{name}.pt")
    assert verified.failures == []
    assert len(verified.card.directions) == 12


def test_the_styles_are_those_of_the_weights_beside_them() -> None:
    assert verify_any(MODELS / "styles" / "paintings.onnx", MODELS / "styles" / "paintings.pt").failures == []
    assert Stylizer(MODELS / "styles" / "paintings.onnx").card.styles == ("wind", "glass", "woodcut")


@pytest.mark.parametrize("name", NAMES)
def test_a_run_can_begin_with_its_weights(name: str) -> None:
    state = checkpoint.load(MODELS / f"{name}.pt")
    config = Config.from_dict(state["config"])
    assert "all weights copied" in start_from(config, state, build_generator(config), build_discriminator(config))


@pytest.mark.parametrize("name", NAMES)
def test_its_scores_are_its_own(name: str) -> None:
    scores = json.loads((MODELS / name / "scores.json").read_text())
    detection = json.loads((MODELS / name / "detection.json").read_text())
    assert scores["fake"]["n"] == 10_000
    assert detection["settings"]["n"] == 1000
    digest = sha256((MODELS / f"{name}.onnx").read_bytes()).hexdigest()
    assert scores["fake"]["manifest"]["model_sha256"] == digest
    assert detection["fake"]["manifest"]["model_sha256"] == digest
    card = (MODELS / name / "README.md").read_text()
    assert digest in card
    assert f"{scores['scores']['frechet']['value']:.2f}" in card
    real = read_statistics(MODELS / name / "real.npz")
    assert real.n == scores["real"]["n"]


@pytest.mark.parametrize("name", NAMES)
def test_no_path_of_the_machine_that_made_it_is_told(name: str) -> None:
    for record in ("scores.json", "detection.json"):
        document = json.loads((MODELS / name / record).read_text())
        assert not [side for side in ("real", "fake") if Path(document[side]["path"]).is_absolute()]
    absolute = re.compile(r"(?<![\w.:/)-])/(?:[\w.-]+/)+[\w.-]+")
    for text in ("README.md", "training.md", "recipe.mk"):
        assert absolute.findall((MODELS / name / text).read_text()) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("target", ["faces", "reproduce", "page", "ship"])
def test_make_knows_it(name: str, target: str) -> None:
    command = ["make", "-n", target, f"MODEL={name}", "DATA=photos.zip", "RUN=runs/mine"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert f"models/{name}" in done.stdout
