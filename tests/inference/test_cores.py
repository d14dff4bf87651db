from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from genface import cores
from genface.cores import cpu_quota, usable_cores

Tree = Callable[[Mapping[str, str]], Path]

V2 = "sys/fs/cgroup"
GROUP = "proc/self/cgroup"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A file system's root that holds these files, by path to content."""

    def make(files: Mapping[str, str]) -> Path:
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        return tmp_path

    return make


def v1(path: str, quota: int, period: int = 100_000) -> dict[str, str]:
    return {f"{path}/cpu.cfs_quota_us": f"{quota}\n", f"{path}/cpu.cfs_period_us": f"{period}\n"}


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({GROUP: "0::/\n"}, None),
        ({GROUP: "0::/\n", f"{V2}/cpu.max": "max 100000\n"}, None),
        ({GROUP: "0::/\n", f"{V2}/cpu.max": "150000 100000\n"}, 1.5),
        # Its own group, and one above that is tighter.
        ({GROUP: "0::/a/b\n", f"{V2}/a/b/cpu.max": "400000 100000"}, 4),
        ({GROUP: "0::/a/b\n", f"{V2}/a/b/cpu.max": "400000 100000", f"{V2}/a/cpu.max": "200000 100000"}, 2),
        ({GROUP: "0::/a/b\n", f"{V2}/a/b/cpu.max": "max 100000", f"{V2}/a/cpu.max": "50000 100000"}, 0.5),
        # Another process's group does not count.
        ({GROUP: "0::/a\n", f"{V2}/c/cpu.max": "100000 100000"}, None),
        # In a container that sees the host's path, its own group is the mount.
        ({GROUP: "0::/docker/1\n", f"{V2}/cpu.max": "300000 100000"}, 3),
        # Version 1, in the folders of both names, and both versions at once.
        ({GROUP: "4:cpu,cpuacct:/a\n", **v1(f"{V2}/cpu,cpuacct/a", 250_000)}, 2.5),
        ({GROUP: "4:cpu:/a\n1:name=systemd:/a\n", **v1(f"{V2}/cpu/a", -1)}, None),
        ({GROUP: "4:cpu:/a/b\n", **v1(f"{V2}/cpu/a/b", -1), **v1(f"{V2}/cpu/a", 60_000, 20_000)}, 3),
        ({GROUP: "4:cpu:/docker/1\n", **v1(f"{V2}/cpu", 100_000)}, 1),
        ({GROUP: "1:cpu:/\n0::/a\n", **v1(f"{V2}/cpu", 300_000), f"{V2}/unified/a/cpu.max": "2 1"}, 2),
        # Other controllers' groups have no quota, and broken files say nothing.
        ({GROUP: "3:cpuset:/a\n", **v1(f"{V2}/cpu/a", 100_000)}, None),
        ({GROUP: "0::/\n", f"{V2}/cpu.max": "soon\n"}, None),
        ({GROUP: "nonsense\n\n"}, None),
        ({GROUP: "1:cpu:/\n", **v1(f"{V2}/cpu", 100_000, 0)}, None),
    ],
)
def test_quota(tree: Tree, files: dict[str, str], quota: float | None) -> None:
    assert cpu_quota(tree(files)) == quota


@pytest.mark.parametrize(("quota", "expected"), [(None, 8), (0.2, 1), (1.5, 2), (8.0, 8), (64.0, 8)])
def test_cores_are_cut_to_the_quota(monkeypatch: pytest.MonkeyPatch, quota: float | None, expected: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(cores, "cpu_quota", lambda: quota)
    assert usable_cores() == expected


def test_this_machine() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
