from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from exportface.to_torchscript import load_torchscript, to_torchscript

ROOT = Path(__file__).parents[2]
DRAW = """
import sys, warnings
for room in ("trainface", "exportface", "genface", "evalface"):
    sys.modules[room] = None
warnings.simplefilter("ignore")
import numpy, torch
images = torch.jit.load(sys.argv[1])(torch.from_numpy(numpy.load(sys.argv[2])))
numpy.save(sys.argv[3], images.numpy())
"""


def test_runs_where_none_of_our_code_is(exported: Any, tmp_path: Path) -> None:
    made = exported("tiny-dcgan")
    z = np.random.default_rng(0).standard_normal((7, made.config.z_dim), dtype=np.float32)
    (tmp_path / "gen.ts").write_bytes(to_torchscript(made.deployable, made.config.z_dim))
    np.save(tmp_path / "z.npy", z)
    files = [str(tmp_path / name) for name in ("gen.ts", "z.npy", "images.npy")]
    subprocess.run([sys.executable, "-c", DRAW, *files], check=True, cwd=tmp_path)
    images = np.load(files[2])
    with torch.no_grad():
        expected = made.deployable(torch.from_numpy(z)).numpy()
    assert images.dtype == np.uint8
    assert images.shape == expected.shape
    assert np.abs(images.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("name", ["tiny", "tiny-dcgan"])
def test_tells_nothing_about_the_machine(exported: Any, name: str) -> None:
    made = exported(name)
    data = to_torchscript(made.deployable, made.config.z_dim)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        for record in archive.namelist():
            content = archive.read(record)
            for trace in (str(ROOT), sys.prefix, "site-packages"):
                assert trace.encode() not in content, (record, trace)


@pytest.mark.parametrize("batch", [1, 2, 9])
def test_batch_is_free(exported: Any, batch: int) -> None:
    made = exported("tiny")
    module = load_torchscript(to_torchscript(made.deployable, made.config.z_dim))
    assert module(torch.zeros(batch, made.config.z_dim)).shape == (batch, 16, 16, 3)
