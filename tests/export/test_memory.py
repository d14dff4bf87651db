"""Freed memory is kept for the next tensor: the system would hand out each large one anew, page by page."""

from __future__ import annotations

import subprocess
import sys

import pytest

import exportface.cli

# As a network at batch 64, in a thread, where the parity check runs its forms: glibc gives threads heaps of their own,
# which end at 64 MB.
COUNT_FAULTS = """
import resource, threading
from exportface.memory import keep_freed_memory

{before}
import torch

faults = []

def run():
    torch.set_num_threads(1)
    for _ in range(6):
        x = torch.ones(18_000_000)  # 72 MB: 18 thousand pages of 4 KiB
        for _ in range(6):
            x = torch.nn.functional.leaky_relu(x + 1, 0.2)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)

thread = threading.Thread(target=run)
thread.start(), thread.join()
print(faults[-1] - faults[0])
"""


def count_faults(before: str) -> int:
    command = [sys.executable, "-c", COUNT_FAULTS.format(before=before)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's settings")
def test_a_freed_tensor_is_the_next_ones_memory() -> None:
    plain = count_faults("")
    if plain < 500_000:
        pytest.skip("this machine's C library, or its pages, spare the faults by themselves")
    # 1,142,000 without; 18,000 to 90,000 with it, by where small objects came to lie between the large ones.
    assert count_faults("keep_freed_memory()") < 0.25 * plain


def test_the_command_asks_for_it_before_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(exportface.cli, "keep_freed_memory", lambda: calls.append("memory"))
    monkeypatch.setattr(exportface.cli, "run_app", lambda app, name: calls.append(name))
    exportface.cli.main()
    assert calls == ["memory", "exportface"]
