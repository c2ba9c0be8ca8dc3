"""How many cores this process may use, and keeping its libraries to a number of threads.

A container or a batch system gives a process some cores of a machine, by affinity or by a quota of the control group, which
`os.cpu_count` knows nothing of (cpu.max; version 1 has cfs_quota_us).
"""

import os
from pathlib import Path

from dist_alexnet.machine.cgroup import along_groups

ROOT = Path("/")
# What libraries read when they are loaded, Arrow's pool (OMP_NUM_THREADS) and numpy's BLAS among them.
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def available_cores(root: Path = ROOT) -> int:
    """Cores that this process can keep busy: those of its affinity, and no more than the quota of its control groups; at least 1.

    Args:
        root: of the file system with /proc and /sys.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = along_groups(root, "cpu", _quota_2, _quota_1)
    return max(1, int(min([affinity, *quotas])))  # 1.5 cores: a second thread would be stopped half of the time


def share_of_cores(processes: int) -> int:
    """Threads for each of so many processes on this machine, that together keep no more than its cores busy; at least 1."""
    return max(1, available_cores() // processes)


def thread_variables(threads: int) -> dict[str, str]:
    """Environment of a process whose libraries are to use so many threads from the moment on that they are loaded."""
    return dict.fromkeys(VARIABLES, str(threads))


def _quota_2(group: Path) -> float | None:
    limit, period = (group / "cpu.max").read_text().split()
    return None if limit == "max" else int(limit) / int(period)


def _quota_1(group: Path) -> float | None:
    limit, period = (int((group / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
    return limit / period if limit > 0 else None
