from __future__ import annotations

import copy
import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from exportface.deployable import Deployable, WithFloats
from exportface.parity import Form
from exportface.to_program import load_program, to_program

ROOT = Path(__file__).parents[2]
DRAW = """
import sys, warnings
for room in ("trainface", "exportface", "genface", "evalface"):
    sys.modules[room] = None
warnings.simplefilter("ignore")
import numpy, torch
images = torch.export.load(sys.argv[1]).module()(torch.from_numpy(numpy.load(sys.argv[2])))
numpy.save(sys.argv[3], images.numpy())
"""


def form(deployable: Deployable, z_dim: int) -> Form:
    shipped, both = (load_program(to_program(module, z_dim)) for module in (deployable, WithFloats(deployable)))

    def run(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            return both(torch.from_numpy(z))[1].numpy(), shipped(torch.from_numpy(z)).numpy()

    return Form(run=run)


def test_runs_where_none_of_our_code_is(exported: Any, tmp_path: Path) -> None:
    made = exported("tiny-dcgan")
    z = np.random.default_rng(0).standard_normal((7, made.config.z_dim), dtype=np.float32)
    (tmp_path / "gen.pt2").write_bytes(to_program(made.deployable, made.config.z_dim))
    np.save(tmp_path / "z.npy", z)
    files = [str(tmp_path / name) for name in ("gen.pt2", "z.npy", "images.npy")]
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
    data = to_program(made.deployable, made.config.z_dim)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        for record in archive.namelist():
            content = archive.read(record)
            for trace in (str(ROOT), sys.prefix, "site-packages", 'File \\"', "trainface", "exportface", "return "):
                assert trace.encode() not in content, (record, trace)


def test_passes_parity_at_every_batch_size(exported: Any) -> None:
    made = exported("tiny")
    assert made.parity(form(made.deployable, made.config.z_dim)).failures == []


@pytest.mark.parametrize("batch", [1, 2, 3, 64])
def test_batch_is_free(exported: Any, batch: int) -> None:
    made = exported("tiny-dcgan")
    module: nn.Module = load_program(to_program(made.deployable, made.config.z_dim))
    images = module(torch.zeros(batch, made.config.z_dim))
    assert (images.shape, images.dtype) == ((batch, 16, 16, 3), torch.uint8)


@pytest.mark.parametrize("name", ["tiny", "tiny-dcgan"])
def test_every_altered_weight_is_found(exported: Any, name: str) -> None:
    made = exported(name)
    undetected = []
    for weight, _ in made.deployable.named_parameters():
        altered = copy.deepcopy(made.deployable)
        with torch.no_grad():
            altered.get_parameter(weight).mul_(1.01).add_(0.001)
        if not made.parity(form(altered, made.config.z_dim), plan={1: 8, 3: 4, 64: 1}).failures:
            undetected.append(weight)
    assert undetected == []
