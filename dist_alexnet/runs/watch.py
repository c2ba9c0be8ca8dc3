"""What may happen to a run while its launcher waits for the ranks: one fails and the others do not end, or its folder goes."""

import time

from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.failure import RankFailure
from dist_alexnet.runs.writable import Place

FAILED_WAIT_S = 5.0  # for the others to end once a rank has failed: one that is stopped, or waits for a disk, does not by itself
LOOK_S = 1.0  # between two looks: each may cost a round trip to a file server


class Watch:
    """Notices that there is no use in waiting for the ranks any longer."""

    def __init__(self, directory: RunDirectory, attempt: str = "") -> None:
        """`attempt`: whose failures count."""
        self.overdue = False  # a rank has failed, and the others have had their time to end
        self.gone = False  # the folder has been deleted, moved or replaced
        self._attempt = attempt
        self._directory, self._place = directory, Place(directory.path)
        self._looked_at = 0.0
        self._failed_at: float | None = None

    def in_vain(self) -> bool:
        """Look; either of them is so."""
        now = time.monotonic()
        if now > self._looked_at + LOOK_S:
            self._looked_at = now
            self.gone = self.gone or self._place.gone()
            if self._failed_at is None and RankFailure.all(self._directory, self._attempt):
                self._failed_at = now
        self.overdue = self._failed_at is not None and now > self._failed_at + FAILED_WAIT_S
        return self.overdue or self.gone
