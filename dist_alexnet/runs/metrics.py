"""metrics.jsonl: one object per line, append-only, written by rank 0, read by whoever wants to follow a run."""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace
from io import FileIO
from pathlib import Path

from dist_alexnet.json_text import to_json
from dist_alexnet.redact import tree_without_secrets
from dist_alexnet.runs.records import Record, RecordsLate
from dist_alexnet.runs.writable import NO_ROOM

MOST_PENDING = 10_000  # records, some 30 MB: what a long run says in hours
PAUSES_S = (0.5, 1.0, 2.0, 4.0)  # at the end of a run, between tries to write what it leaves

logger = logging.getLogger(__name__)


class MetricsFile:
    """Appends records, each whole in one write, so that a reader never sees half of one. On a full disk they wait until there is room."""

    def __init__(self, path: Path | None, attempt: int = 0) -> None:
        """`path` None: write nothing, as on every rank but the first."""
        self._path, self._attempt = path, attempt
        self._begun = False
        self._pending: list[bytes] = []
        self._late = self._lost = 0
        self._reason = ""

    def write(self, record: Record) -> None:
        """Append one record, with the attempt and the time, and before it those that had no room.

        Raises:
            OSError: it cannot be written, or somebody has deleted the file: it does not come back in a folder that is being deleted.
        """
        if self._path is None:
            return
        self._pending.append(self._line(record))
        try:
            self.flush()
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            self._wait_for_room(error)

    def flush(self) -> None:
        """Append what is pending (OSError: it cannot be written)."""
        if self._path is None or not self._pending:
            return
        late = [self._line(RecordsLate(records=self._late, lost=self._lost, reason=self._reason))] if self._late else []
        with open(self._path, "ab+", buffering=0, opener=_open_existing if self._begun else None) as stream:
            _append(stream, b"".join([*self._pending, *late]))
        self._pending.clear()
        self._begun, self._late, self._lost = True, 0, 0

    def _line(self, record: Record) -> bytes:
        content = replace(record, attempt=self._attempt, time=time.time()).as_dict()
        return to_json(tree_without_secrets(content)).encode() + b"\n"

    def _wait_for_room(self, error: OSError) -> None:
        if not self._late:
            self._reason = error.strerror or str(error)
            logger.warning("%s cannot be written (%s): records wait in memory until there is room", self._path, error.strerror)
        self._late += 1
        if len(self._pending) > MOST_PENDING:
            del self._pending[0]
            self._lost += 1


def insist(write: Callable[[], None]) -> None:
    """Write what is lost otherwise, for some seconds (OSError: in vain)."""
    for pause in PAUSES_S:
        try:
            return write()
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
        time.sleep(pause)
    write()


def _append(stream: FileIO, lines: bytes) -> None:
    """All of it or nothing, so that no record comes twice."""
    size = stream.seek(0, os.SEEK_END)
    rest = memoryview(_line_break(stream, size) + lines)
    try:
        while rest:
            rest = rest[stream.write(rest) :]
    except OSError:
        stream.truncate(size)
        raise


def _line_break(stream: FileIO, size: int) -> bytes:
    """To end a line that a kill cut short: the record would be lost with it."""
    if not size:
        return b""
    stream.seek(-1, os.SEEK_END)
    return b"" if stream.read(1) == b"\n" else b"\n"


def _open_existing(path: str, flags: int) -> int:
    return os.open(path, flags & ~os.O_CREAT)
