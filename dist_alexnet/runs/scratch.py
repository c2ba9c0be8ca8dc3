"""Temporary folders that do not outlive their owner for long: what one that was killed has left, the next one removes."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

OWNER = ".owner"  # locked by the process that the folder belongs to; the kernel unlocks it however that process ends


@contextmanager
def scratch(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """A new folder, for the time of the block, in `parent` or where temporary files go. Nobody else's prefix may be the same."""
    for leftover in Path(parent or tempfile.gettempdir()).glob(f"{prefix}*/{OWNER}"):
        with suppress(OSError), leftover.open("r+") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while the owner lives
            shutil.rmtree(leftover.parent, ignore_errors=True)
    path, lock = _make(prefix, parent)
    with lock:
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


def _make(prefix: str, parent: Path | None) -> tuple[Path, IO[str]]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        lock = (path / OWNER).open("w")
        with suppress(OSError):  # a file system without locks: nobody will take it for a leftover there, either
            fcntl.flock(lock, fcntl.LOCK_EX)
        if (path / OWNER).exists():  # else somebody took it for a leftover before it was locked
            return path, lock
        lock.close()
