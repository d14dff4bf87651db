"""docs/evaluation.md, executed: one test, for its blocks build on one another."""

from __future__ import annotations

import inspect
import re
import runpy
import shutil
import types
from pathlib import Path
from typing import Any

import pytest

from evalface.scoring import score

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "evaluation.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", DOCS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
drawn = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "small_faces.py")))


def test_every_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("faces").mkdir()
    for index, picture in enumerate(drawn.faces(24, seed=0)):
        picture.save(f"faces/{index}.png")
    drawn.save(Path("faces.zip"), drawn.faces(20, seed=1))
    drawn.save(Path("other.zip"), drawn.faces(20, seed=2))
    shutil.copy(ROOT / "tests" / "inference" / "tiny.onnx", "gen.onnx")
    names: dict[str, Any] = {"__name__": "docs"}
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"block {number} of {DOCS.name}", "exec"), names)
    said = capsys.readouterr().out
    assert said.startswith("Frechet distance (EfficientNet-Lite0) ")
    assert "missing.zip: no such folder, .zip or .tar" in said
    assert "LOO-1NN in features: " in said
    assert names["drawn"].fake.n == 40
    assert {file.name for file in Path("report").iterdir()} == {"report.html", "report.json", "tsne.csv", "tsne.png"}


def test_the_arguments_are_those_of_score() -> None:
    text = DOCS.read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+)(?:=[^`]*)?` \|", text, re.MULTILINE)
    assert named == list(inspect.signature(score).parameters)
    assert len(BLOCKS) >= 7
