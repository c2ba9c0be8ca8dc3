"""Whether a run folder can still be written, and is still the one that it was: people delete and move folders, and disks fill up."""

import errno
from pathlib import Path

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the last under a limit on the size of files
REMEDIES = {
    **dict.fromkeys((errno.EISDIR, errno.ENOTDIR, errno.EEXIST), "move it away"),
    **dict.fromkeys(NO_ROOM, "make room"),
}


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
