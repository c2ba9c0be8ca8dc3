"""How much memory this process may take before somebody is killed for it."""

from contextlib import suppress
from pathlib import Path

from dist_alexnet.machine.cgroup import along_groups
from dist_alexnet.machine.cores import ROOT

UNLIMITED = 2**60  # version 1 says so with a number near 2**63


def free_memory(root: Path = ROOT) -> int | None:
    """Bytes that are free on this machine, and no more than its control groups leave; None: the system does not say.

    Args:
        root: of the file system with /proc and /sys.
    """
    found = [*along_groups(root, "memory", _left_2, _left_1)]
    with suppress(OSError, ValueError, StopIteration):
        lines = (root / "proc/meminfo").read_text().splitlines()
        found.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]))
    return max(0, min(found)) if found else None


def memory_limit(root: Path = ROOT) -> int | None:
    """Bytes that the tightest of its control groups allows; None: none limits it."""
    return min(along_groups(root, "memory", _limit_2, _limit_1), default=None)


def _limit_2(group: Path) -> int | None:
    limit = (group / "memory.max").read_text().strip()
    return None if limit == "max" else int(limit)


def _limit_1(group: Path) -> int | None:
    limit = int((group / "memory.limit_in_bytes").read_text())
    return limit if limit < UNLIMITED else None


def _left_2(group: Path) -> int | None:
    limit = _limit_2(group)
    return None if limit is None else limit - int((group / "memory.current").read_text()) + _cache(group, "inactive_file")


def _left_1(group: Path) -> int | None:
    limit = _limit_1(group)
    return None if limit is None else limit - int((group / "memory.usage_in_bytes").read_text()) + _cache(group, "total_inactive_file")


def _cache(group: Path, name: str) -> int:
    """Bytes of files that the kernel keeps in memory as long as nobody else wants it."""
    with suppress(OSError, ValueError):
        for line in (group / "memory.stat").read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0
