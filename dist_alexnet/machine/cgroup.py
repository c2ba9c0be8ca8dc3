"""The control groups around this process, by which containers and batch systems give it a part of a machine.

https://docs.kernel.org/admin-guide/cgroup-v2.html; version 1 has a folder for each controller.
"""

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import TypeVar

Found = TypeVar("Found")
Read = Callable[[Path], Found | None]  # what a group sets, from its folder; None, OSError or ValueError: nothing


def along_groups(root: Path, controller: str, read_2: Read[Found], read_1: Read[Found]) -> Iterator[Found]:
    """What each group sets, from the one that this process is in up to the topmost that it can see.

    Args:
        root: of the file system with /proc and /sys.
        controller: by its name, "cpu" or "memory".
        read_2, read_1: of a folder of either version.
    """
    try:
        memberships = [line.split(":", 2) for line in (root / "proc/self/cgroup").read_text().splitlines()]
    except OSError:  # not Linux, or hidden
        return
    for _, controllers, name in memberships:
        if not controllers:
            yield from _along(root / "sys/fs/cgroup", name, read_2)
        elif controller in controllers.split(","):
            yield from _along(root / "sys/fs/cgroup" / controller, name, read_1)


def _along(top: Path, name: str, read: Read[Found]) -> Iterator[Found]:
    inside = PurePosixPath(name.lstrip("/"))
    for group in (inside, *inside.parents):
        try:
            found = read(top / group)
        except (OSError, ValueError):  # of a group outside of our namespace, or the root, which has none
            continue
        if found is not None:
            yield found
