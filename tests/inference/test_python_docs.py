"""docs/python.md, executed: one test, for its blocks build on one another."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto
from PIL import Image

from genface.contract import VALUE_RANGES
from genface.model import Generator
from genface.provenance import origin

DOCS = Path(__file__).parents[2] / "docs" / "python.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", DOCS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_every_block_runs(
    tiny: Path,
    save_variant: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(tiny, "gen.onnx")
    save_variant("float -1 to 1", card=None, scalars={"psi": (TensorProto.FLOAT, [])}).rename("stylegan.onnx")
    names: dict[str, Any] = {"__name__": "docs"}
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"block {number} of {DOCS.name}", "exec"), names)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "16x16 px from 8 numbers, on cpu in fp32"
    assert said[1] == "missing.onnx: no such file; give an .onnx file"
    drawn = Generator(tiny).draw(seed=0, indices=range(4))
    for index, pixels in enumerate(drawn):
        np.testing.assert_array_equal(np.asarray(Image.open(f"{index:06d}.png")), pixels)
    assert names["typical"].std(axis=0).mean() < drawn.std(axis=0).mean()
    assert names["face"].shape == (1, 16, 16, 3)
    assert origin(model_sha256=names["info"].sha256, seed=0, index=3, truncation=None) == names["marks"]
    assert len({*names["pictures"]}) == 20


def test_there_are_blocks_and_each_names_what_exists() -> None:
    assert len(BLOCKS) >= 10
    text = DOCS.read_text(encoding="utf-8")
    assert all(value_range in text for value_range in VALUE_RANGES)
    arguments = set(re.findall(r"^\| `(\w+)=[^`]", text, re.MULTILINE))
    assert arguments == {"inputs", "latent", "z_dim", "output", "value_range"}
    assert arguments <= set(Generator.__init__.__annotations__)
