"""Whether a run folder can still be written, and is still the one that it was: people delete and move folders, and disks fill up."""

import errno
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dist_alexnet.training.job import RunDirectory

PROBE_BYTES = 2**16
REMEDIES = {
    **dict.fromkeys((errno.EISDIR, errno.ENOTDIR, errno.EEXIST), "move it away"),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room"),
}


def probe(directory: "RunDirectory") -> None:
    """Write where a run writes, and leave nothing behind (OSError: it cannot be; names the file or folder)."""
    path = directory.path
    try:
        for path in (directory.path, directory.log(0).parent, directory.checkpoints):
            if path != directory.checkpoints or os.path.lexists(path):  # which the first of them makes
                with tempfile.TemporaryFile(dir=path) as file:
                    file.write(bytes(PROBE_BYTES))
        for path in (directory.metrics, *directory.log(0).parent.glob("rank_*.log")):
            if os.path.lexists(path):  # of an earlier attempt
                path.open("ab").close()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def remedy(error: OSError) -> str:
    """What to do about it, where that is known; else nothing."""
    return REMEDIES.get(error.errno or 0, "")


class Place:
    """A folder as it was found, wherever its path leads later."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found = self._identity()

    def gone(self) -> bool:
        """It has been deleted, moved or replaced. One that cannot be looked at, because a file server is away, say, is not gone."""
        try:
            return self._identity() != self._found
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False

    def _identity(self) -> tuple[int, int]:
        status = self._path.stat()
        return status.st_dev, status.st_ino
