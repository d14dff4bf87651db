"""The model card: every figure from the file itself, every snippet runs, nobody's words become markup."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from PIL import Image

from exportface.card import card_text, limits, sample_sheet, write_card
from exportface.export import CONFIG_KEY, export
from exportface.front_matter import front_matter, hub_licence, plain
from genface.errors import UserError
from genface.metadata import ModelCard
from genface.model import Generator
from genface.photos import Preparation
from genface.score_report import SCHEMA_VERSION, read_score_report

ODD = "my *faces* | <b>[all](http://x.y) `of` them_all_ & \\ # www.x.y"


@pytest.fixture(scope="module")
def folder(make_checkpoint: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with gen.onnx and gen.ts of a data set whose name is one trap after another."""
    folder = tmp_path_factory.mktemp("card")
    checkpoint = make_checkpoint("tiny", lambda state: state["data"].update(name=ODD))
    export(checkpoint, folder / "gen.onnx", torchscript=folder / "gen.ts", licence="CC BY 4.0 (mine)")
    return folder


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return card_text(folder / "gen.onnx", files=[folder / "gen.onnx", folder / "gen.ts"])


def fences(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def shown(markdown: str) -> str:
    """What a reader of the page sees, tags taken away; links and markup leave none of their signs."""
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    children = [child for token in tokens for child in token.children or []]
    assert {child.type for child in children} <= {"text", "softbreak"}, "a stranger's words became markup"
    return "".join(child.content for child in children)


def test_the_hub_reads_the_front_matter(text: str) -> None:
    cards = pytest.importorskip("huggingface_hub", reason="the Hub's own reader is not installed")
    data = cards.ModelCard(text).data.to_dict()
    assert data == {
        "license": "cc-by-4.0",
        "library_name": "onnx",
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["onnx", "gan", "image-generation", "synthetic"],
    }


def test_figures_are_those_of_the_file(folder: Path, text: str) -> None:
    card = Generator(folder / "gen.onnx").info.card
    assert card is not None
    assert card.checkpoint_sha256 in text
    assert sha256((folder / "gen.onnx").read_bytes()).hexdigest() in text
    for row in card.parity["rows"]:
        cells = f"{row['images']:,} | {row['max_delta']:.1e} | {row['max_levels']} | {row['identical']:.4%} |"
        file = {"TorchScript": "`gen.ts`", "exported program": "not kept"}.get(row["form"], "`gen.onnx`")
        assert f"| {file} | {row['form']} | {row['batch']} | {cells}" in text
    assert "24 (0.024 kimg)" in text
    assert "| preset | tiny |" in text
    assert (
        f"| `gen.ts` | the same as TorchScript: `torch.jit.load`, or C++ and Java | {size(folder, 'gen.ts')} |" in text
    )
    assert "ONNX (opset 20)" in text
    (settings,) = fences(text, "json")
    assert json.loads(settings) == json.loads(Generator(folder / "gen.onnx").info.metadata[CONFIG_KEY])


def size(folder: Path, name: str) -> str:
    return f"{(folder / name).stat().st_size / 1e6:.2f}"


def test_the_name_of_the_data_set_stands_as_it_is(text: str) -> None:
    title = next(line for line in text.splitlines() if line.startswith("# "))
    assert shown(title) == f"16 px pictures after {ODD}"
    row = next(line for line in text.splitlines() if line.startswith("| data set |"))
    assert shown(f"| a | b |\n|---|---|\n{row}") == f"abdata set{ODD}"


def test_every_snippet_runs(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    by_genface, by_runtime = fences(text, "python")
    names: dict[str, Any] = {}
    exec(by_genface, names)
    generator = Generator("gen.onnx")
    assert (names["faces"] == generator.draw(seed=0, indices=range(64))).all()

    assert len([line for line in by_runtime.splitlines() if line]) <= 8
    names = {}
    exec(by_runtime, names)
    expected = generator.from_latents(names["z"])
    assert names["faces"].shape == (16, 16, 16, 3)
    # A session of ONNX Runtime's own choice of threads may add up in another order.
    assert np.abs(names["faces"].astype(int) - expected).max() <= 1
    assert (np.asarray(Image.open("face.png")) == names["faces"][0]).all()


def test_every_command_runs(folder: Path, text: str, tmp_path: Path) -> None:
    commands = [shlex.split(line[2:]) for block in fences(text, "console") for line in block.splitlines()]
    assert [words[0] for words in commands] == ["genface", "genface", "evalface"]
    for room, *words in commands[:2]:
        words = [{"10000": "20", "gen.onnx": str(folder / "gen.onnx")}.get(word, word) for word in words]
        subprocess.run([sys.executable, "-m", room, *words, "--force"], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "faces.zip").exists()


def test_samples_are_the_first_pictures_and_say_that_a_machine_made_them(folder: Path, tmp_path: Path) -> None:
    generator = Generator(folder / "gen.onnx")
    (tmp_path / "samples.png").write_bytes(sample_sheet(generator))
    with Image.open(tmp_path / "samples.png") as samples:
        pixels = np.asarray(samples)
        assert "trainedAlgorithmicMedia" in samples.info["XML:com.adobe.xmp"]
    assert pixels.shape == (8 * 16, 8 * 16, 3)
    faces = generator.draw(seed=0, indices=range(64))
    assert (pixels[16:32, 32:48] == faces[10]).all()
    assert pixels.std() > 30


def test_a_card_in_another_folder_names_files_as_seen_from_there(folder: Path, tmp_path: Path) -> None:
    names = ["gen.pt", "training.md", "real.npz", "scores.json"]
    for name in names:
        (folder / name).write_bytes(b"12345")
    cards = folder / "cards"
    cards.mkdir()
    card = write_card(folder / "gen.onnx", cards, files=[folder / name for name in names])
    text = card.read_text()
    assert [line.split("`")[1] for line in text.splitlines() if line.startswith("| `") and "0.00 |" in line] == [
        f"../{name}" for name in names
    ]
    assert "genface --model ../gen.onnx" in text
    assert "--init-from" in text
    with Image.open(cards / "samples.png") as samples:
        assert samples.size == (8 * 16, 8 * 16)


def test_the_card_command_replaces_nothing_unasked(folder: Path, tmp_path: Path) -> None:
    def run(*more: str) -> subprocess.CompletedProcess[str]:
        code = "from exportface.cli import main; main()"
        command = [sys.executable, "-c", code, "card", str(folder / "gen.onnx"), "--out", str(tmp_path), *more]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    assert run().stdout.strip() == str(tmp_path / "README.md")
    (tmp_path / "README.md").write_text("mine")
    refused = run()
    assert refused.returncode == 2
    assert "--force" in refused.stderr.splitlines()[-1]
    assert (tmp_path / "README.md").read_text() == "mine"
    assert run("--force").returncode == 0
    assert "# 16 px pictures" in (tmp_path / "README.md").read_text()


def document(model: Path, **manifest: Any) -> dict[str, Any]:
    """A report of evalface on 50 pictures that `model` drew."""
    one_nn = {"accuracy": 0.9, "real_accuracy": 0.85, "fake_accuracy": 0.95, "chance": 0.495, "n_per_side": 50}
    drawn = {"model_sha256": sha256(model.read_bytes()).hexdigest(), "seed": 7, "truncation": 0.8, **manifest}
    return {
        "kind": "evalface-report",
        "schema_version": SCHEMA_VERSION,
        "scores": {
            "frechet": {"name": "Frechet distance (Some Net)", "value": 71.636, "floor": 4.61, "floor_n": 30},
            "kid": {"value": 0.09846, "standard_error": 0.00093},
            "precision_recall": {"precision": 0.157, "recall": 0.079, "k": 5, "n_per_side": 50},
            "density_coverage": {"density": 0.4, "coverage": 0.3, "k": 5, "n_real": 50, "n_fake": 50},
            "leave_one_out": one_nn,
            "leave_one_out_pixels": one_nn,
        },
        "real": {"n": 1234, "path": "/photos/secret/faces.zip", "preparation": Preparation(size=16).to_dict()},
        "fake": {"n": 50, "path": "/photos/secret/drawn.zip", "manifest": drawn},
        "extractor": {"title": "Some Net", "protocol": "a|b", "weights_sha256": "57" * 32, "precision": "float32"},
        "readings": [{"about": "LOO-1NN in features", "sentence": "by this test they can be told apart."}],
        "notes": ["the folder /photos/secret was read"],
        "versions": {"evalface": "0.1.0"},
    }


def test_scores_come_with_their_circumstances(folder: Path) -> None:
    model = folder / "gen.onnx"
    text = card_text(model, scores=document(model))
    assert "50 pictures of seed 7, truncated at 0.8, drawn by this very file, against 1,234 real ones (16 px" in text
    assert "57" * 32 in text
    assert "| Frechet distance (Some Net) | 71.64 | 1,234 real, 50 generated |" in text
    assert "| KID x 1000 | 98.46 ± 0.93 |" in text
    assert "FID" not in text
    assert "secret" not in text, "paths of the machine that scored are nobody's business"
    assert "No scores come" not in text


def test_a_report_on_statistics_alone_has_one_score(folder: Path) -> None:
    scores = document(folder / "gen.onnx")
    scores["scores"] = {**dict.fromkeys(scores["scores"]), "frechet": scores["scores"]["frechet"] | {"floor": None}}
    text = card_text(folder / "gen.onnx", scores=scores)
    assert "| Frechet distance (Some Net) | 71.64 |" in text
    assert "KID" not in text
    assert "recall" not in text


@pytest.mark.parametrize("manifest", [{"model_sha256": "0" * 64}, {"model_sha256": None}])
def test_scores_of_other_pictures_are_refused(folder: Path, manifest: dict[str, Any]) -> None:
    model = folder / "gen.onnx"
    with pytest.raises(UserError, match=r"pictures that gen\.onnx did not draw"):
        card_text(model, scores=document(model, **manifest))


def test_scores_of_a_folder_that_nobody_signed_are_refused(folder: Path) -> None:
    scores = document(folder / "gen.onnx")
    scores["fake"]["manifest"] = None
    with pytest.raises(UserError, match=r"generator unknown"):
        card_text(folder / "gen.onnx", scores=scores)


@pytest.mark.parametrize("part", ["scores", "real", "extractor", "versions"])
def test_damaged_scores_are_refused(folder: Path, part: str) -> None:
    scores = document(folder / "gen.onnx")
    del scores[part]
    with pytest.raises(UserError, match=f"lacks or garbles '{part}'"):
        card_text(folder / "gen.onnx", scores=scores)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("no JSON", "no JSON"),
        ('{"kind": NaN}', "no JSON"),
        ("[]", "is no report of evalface"),
        ('{"kind": "genface-archive"}', "is no report of evalface"),
        ('{"kind": "evalface-report", "schema_version": 99}', "another version of evalface"),
    ],
)
def test_what_is_no_report(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "report.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=message) as refused:
        read_score_report(path)
    assert str(path) in str(refused.value)


def test_a_strangers_file_has_no_card(exported: Any, tmp_path: Path) -> None:
    onnx.save(exported("tiny").model, tmp_path / "gen.onnx")
    with pytest.raises(UserError, match="was not exported by exportface"):
        card_text(tmp_path / "gen.onnx")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (CONFIG_KEY, "[1]", "is not a JSON object"),
        (CONFIG_KEY, "{", "is not a JSON object"),
        ("genface.parity", "{}", "parity figures are damaged"),
        ("genface.parity", '{"output_std": 0.5, "rows": [{"form": "ONNX Runtime"}]}', "parity figures are damaged"),
        ("genface.parity", '{"output_std": 0.5, "rows": [3]}', "parity figures are damaged"),
    ],
)
def test_damaged_metadata(folder: Path, tmp_path: Path, key: str, value: str, message: str) -> None:
    model = onnx.load(folder / "gen.onnx")
    onnx.helper.set_model_props(model, {prop.key: prop.value for prop in model.metadata_props} | {key: value})
    onnx.save(model, tmp_path / "gen.onnx")
    with pytest.raises(UserError, match=message):
        card_text(tmp_path / "gen.onnx")


def record(**changes: Any) -> ModelCard:
    base = ModelCard(
        architecture="r3",
        resolution=64,
        z_dim=64,
        preparation=Preparation(size=64),
        dataset="photos",
        images_seen=360_000,
        licence="MIT",
        checkpoint_sha256="0" * 64,
        parity={"output_std": 0.5, "rows": []},
    )
    return replace(base, **changes)


def test_limits_follow_from_facts() -> None:
    usual = " ".join(limits(record(), scored=True))
    assert "64 x 64 pixels" in usual
    assert "360,000 images" in usual
    assert "centred square" in usual
    assert "hardly trained" not in usual
    assert "360,000" not in " ".join(limits(record(images_seen=30_000_000), scored=True))
    assert "hardly trained" in " ".join(limits(record(parity={"output_std": 0.02}), scored=True))
    for crop, word in (("face", "without a face"), ("cat-face", "without a cat's face")):
        assert word in " ".join(limits(record(preparation=Preparation(size=64, crop=crop)), scored=True))


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        ("CC BY-NC 4.0 (AFHQ)", {"license": "cc-by-nc-4.0"}),
        ("cc-by-nc-sa-4.0", {"license": "cc-by-nc-sa-4.0"}),
        ("CC0", {"license": "cc0-1.0"}),
        ("Apache License, Version 2.0", {"license": "apache-2.0"}),
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("MIT License", {"license": "mit"}),
        ("unknown: the data's terms apply", {"license": "unknown"}),
        ("Apache 2.0 for the code", {"license": "other", "license_name": "apache-2.0-for-the-code"}),
        ("CC BY 9.9", {"license": "other", "license_name": "cc-by-9.9"}),
        ('Mine: "ask"\n---\nme', {"license": "other", "license_name": "mine-ask-me"}),
        ("только для себя", {"license": "other"}),
        ("", {"license": "other"}),
    ],
)
def test_licences_in_the_words_of_the_hub(words: str, fields: dict[str, str]) -> None:
    assert hub_licence(words) == fields


@pytest.mark.parametrize("value", ["true", "null", "1.0", "a: b", "- x", "---", "#", '"', "\\", "", "2024-01-01"])
def test_front_matter_keeps_texts_texts(value: str) -> None:
    yaml = pytest.importorskip("yaml")
    lines = front_matter({"name": value, "tags": [value]}).splitlines()
    assert (lines[0], lines[-1]) == ("---", "---")
    assert yaml.safe_load("\n".join(lines[1:-1])) == {"name": value, "tags": [value]}


@given(st.text())
def test_strangers_words_stay_words(text: str) -> None:
    seen = "".join(sign for sign in " ".join(text.split()) if sign.isprintable())
    assert shown(f"x{plain(text)}x") == f"x{seen}x"
