"""TorchScript and the exported program: complete without our code, silent about the machine, and equal to PyTorch."""

from __future__ import annotations

import copy
import io
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from exportface.deployable import Deployable, WithFloats
from exportface.forms import program_form, torchscript_form
from exportface.parity import Form
from exportface.to_program import load_program, to_program
from exportface.to_torchscript import load_torchscript, to_torchscript

ROOT = Path(__file__).parents[2]
DRAW = """
import sys, warnings
for room in ("trainface", "exportface", "genface", "evalface"):
    sys.modules[room] = None
warnings.simplefilter("ignore")
import numpy, torch
images = {load}(torch.from_numpy(numpy.load(sys.argv[2])))
numpy.save(sys.argv[3], images.numpy())
"""
# TorchScript keeps our classes' names; the exported program keeps none of them.
KINDS = {
    "TorchScript": SimpleNamespace(
        write=to_torchscript,
        read=load_torchscript,
        form=torchscript_form,
        loading="torch.jit.load(sys.argv[1])",
        telling=(str(ROOT), sys.prefix, "site-packages"),
    ),
    "exported program": SimpleNamespace(
        write=to_program,
        read=load_program,
        form=program_form,
        loading="torch.export.load(sys.argv[1]).module()",
        telling=(str(ROOT), sys.prefix, "site-packages", 'File \\"', "trainface", "exportface", "return "),
    ),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Any:
    return KINDS[request.param]


@pytest.fixture
def form(kind: Any) -> Callable[[Deployable, int], Form]:
    """A deployable network in this form, ready to be held against PyTorch."""
    return lambda deployable, z_dim: kind.form(
        *(kind.write(module, z_dim) for module in (deployable, WithFloats(deployable)))
    )


def test_runs_where_none_of_our_code_is(exported: Any, kind: Any, tmp_path: Path) -> None:
    made = exported("tiny-dcgan")
    z = np.random.default_rng(0).standard_normal((7, made.config.z_dim), dtype=np.float32)
    (tmp_path / "gen").write_bytes(kind.write(made.deployable, made.config.z_dim))
    np.save(tmp_path / "z.npy", z)
    files = [str(tmp_path / name) for name in ("gen", "z.npy", "images.npy")]
    subprocess.run([sys.executable, "-c", DRAW.format(load=kind.loading), *files], check=True, cwd=tmp_path)
    images = np.load(files[2])
    with torch.no_grad():
        expected = made.deployable(torch.from_numpy(z)).numpy()
    assert images.dtype == np.uint8
    assert images.shape == expected.shape
    assert np.abs(images.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("name", ["tiny", "tiny-dcgan"])
def test_tells_nothing_about_the_machine(exported: Any, kind: Any, name: str) -> None:
    made = exported(name)
    with zipfile.ZipFile(io.BytesIO(kind.write(made.deployable, made.config.z_dim))) as archive:
        assert archive.testzip() is None
        for record in archive.namelist():
            content = archive.read(record)
            for trace in kind.telling:
                assert trace.encode() not in content, (record, trace)


@pytest.mark.parametrize("batch", [1, 2, 3, 64])
def test_batch_is_free(exported: Any, kind: Any, batch: int) -> None:
    made = exported("tiny-dcgan")
    images = kind.read(kind.write(made.deployable, made.config.z_dim))(torch.zeros(batch, made.config.z_dim))
    assert (images.shape, images.dtype) == ((batch, 16, 16, 3), torch.uint8)


@pytest.mark.parametrize("name", ["tiny", "tiny-dcgan"])
def test_every_altered_weight_is_found(exported: Any, form: Callable[[Deployable, int], Form], name: str) -> None:
    made = exported(name)
    assert made.parity(form(made.deployable, made.config.z_dim)).failures == []
    undetected = []
    for weight, _ in made.deployable.named_parameters():
        altered = copy.deepcopy(made.deployable)
        with torch.no_grad():
            altered.get_parameter(weight).mul_(1.01).add_(0.001)
        if not made.parity(form(altered, made.config.z_dim), plan={1: 8, 3: 4, 64: 1}).failures:
            undetected.append(weight)
    assert undetected == []
