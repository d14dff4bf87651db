"""A run that is killed, again and again, at any moment."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from trainface import checkpoint

# One process imports torch and forks a child per life of the run; the children are what is killed.
DRIVER = """
import os, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from trainface import cli, run, loop
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        sys.argv = ["trainface", *line.rstrip("\\n").split("\\t")]
        cli.main()
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""
KILLS = 20
COMMAND = [
    "builtin:cartoons:64",
    "--preset",
    "tiny",
    "--kimg",
    "3",
    "--set",
    "tick_kimg=0.05",
    "--set",
    "precision=fp32",
]


class Lives:
    """Begins lives of a run, each in a process of its own."""

    def __init__(self) -> None:
        self.driver = subprocess.Popen(
            [sys.executable, "-c", DRIVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.driver.stdin is not None
        assert self.driver.stdout is not None
        self.ask, self.answers = self.driver.stdin, self.driver.stdout

    def begin(self, run: Path) -> int:
        """Start or resume the run; returns the process."""
        self.ask.write("\t".join([*COMMAND, "--run", str(run)]) + "\n")
        self.ask.flush()
        return int(self.answers.readline())

    def end(self) -> int:
        """Wait for the life's end; its exit code, negative for a signal."""
        lines = iter(self.answers.readline, "")
        return next(int(line) for line in lines if line.strip().lstrip("-").isdecimal())

    def close(self) -> None:
        """End the driver."""
        self.ask.close()
        self.answers.close()
        self.driver.wait(timeout=30)


def wait_for_another(checkpoint_file: Path, life: int) -> None:
    """Until the file is replaced, or the process is gone."""

    def stamp() -> int:
        return checkpoint_file.stat().st_mtime_ns if checkpoint_file.exists() else 0

    before, deadline = stamp(), time.monotonic() + 60
    while stamp() == before and time.monotonic() < deadline and Path(f"/proc/{life}").exists():
        time.sleep(0.005)


@pytest.mark.slow
def test_killed_at_twenty_random_moments_a_run_always_resumes(tmp_path: Path) -> None:
    """Nothing is unreadable, no more is lost than since the last checkpoint, and the end is bit for bit the same."""
    rng = random.Random(0)
    lives, run = Lives(), tmp_path / "killed"
    kills, reached = 0, 0
    while True:
        life = lives.begin(run)
        if kills == KILLS:
            assert lives.end() == 0
            break
        # Every other life gets as far as saving something before its random moment comes.
        if kills % 2:
            wait_for_another(run / "checkpoint.pt", life)
        time.sleep(rng.uniform(0.0, 0.6))
        os.kill(life, signal.SIGKILL)
        if lives.end() == 0:
            pytest.fail("the run ended before it was killed often enough: make it longer")
        kills += 1
        if (run / "checkpoint.pt").exists():
            left = int(checkpoint.load(run / "checkpoint.pt")["cur_nimg"])
            log = (run / "log.jsonl").read_text() if (run / "log.jsonl").exists() else ""
            ticks = [json.loads(line) for line in log.splitlines() if line.endswith("}")]
            logged = max((round(1000 * entry["kimg"]) for entry in ticks), default=0)
            assert left >= max(reached, logged), "what was reported as saved is there"
            reached = left
        for kept in (run / "checkpoints").glob("*.pt"):
            checkpoint.load(kept)
    assert reached > 0, "some of the kills came after a checkpoint"

    straight = tmp_path / "straight"
    lives.begin(straight)
    assert lives.end() == 0
    one, other = (checkpoint.load(folder / "checkpoint.pt") for folder in (run, straight))
    for name in ("G", "D"):
        for tensor, expected in zip(one[name].values(), other[name].values(), strict=True):
            assert torch.equal(tensor, expected)
    assert not list(run.glob("*.tmp")), "the last life cleans up what the killed ones left"
    lives.close()
