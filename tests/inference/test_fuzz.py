"""The fuzzers beside this file, in the measure that CI has time for; each of them runs longer as a script."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def run_script(name: str, *arguments: object) -> str:
    """In a process of its own, since both change what a process has but once: signals, limits, the working folder."""
    command = [sys.executable, str(HERE / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_options_manifests_and_metadata(seed: int) -> None:
    assert '"wrong": 0' in run_script("fuzz_records.py", "--n", 2500, "--seed", seed)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the children are forked, which this system cannot")
@pytest.mark.parametrize("seed", range(4))
def test_damaged_models(seed: int) -> None:
    assert '"refused"' in run_script("fuzz_models.py", "--n", 50, "--seed", seed)
