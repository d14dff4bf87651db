"""How many cores this process may use: affinity and container quota, not what the machine has."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

# Where systems mount the controllers of version 1 that carry the quota, and version 2's one tree.
_V1_MOUNTS = ("sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct", "sys/fs/cgroup/cpuacct,cpu")
_V2_MOUNTS = ("sys/fs/cgroup", "sys/fs/cgroup/unified")


def usable_cores() -> int:
    """Cores in the affinity mask, cut to the CPU quota of the control groups where one is set; at least 1."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no affinity masks
        cores = os.cpu_count() or 1
    quota = cpu_quota()
    return max(1, min(cores, math.ceil(quota)) if quota else cores)


def cpu_quota(root: Path = Path("/")) -> float | None:
    """CPUs that the control groups of this process leave it, the tightest of its own group and all above; None for all.

    Inside a container the path of the group may be the host's, which is not mounted there: then the container's own
    group is the mount itself, which counts as a group above. `root` is the folder that holds proc and sys.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    quotas = [quota for line in lines for folder in _folders(line, root) if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def _folders(line: str, root: Path) -> Iterator[Path]:
    """The folders of a group and of those above it, from a line `number:controllers:path` of /proc/self/cgroup."""
    _, _, rest = line.partition(":")
    controllers, _, path = rest.partition(":")
    if controllers and "cpu" not in controllers.split(","):
        return
    group = PurePosixPath(path.lstrip("/"))
    for mount in _V1_MOUNTS if controllers else _V2_MOUNTS:
        for above in (group, *group.parents):
            yield root / mount / above


def _quota(folder: Path) -> float | None:
    """CPUs that one group may use, by version 2's file or version 1's two; None where there is no limit."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):  # no such group; "max"
        return None
