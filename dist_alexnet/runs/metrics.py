"""metrics.jsonl: one object per line, append-only, written by rank 0, read by whoever wants to follow a run."""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import IO

from dist_alexnet.json_text import to_json
from dist_alexnet.redact import tree_without_secrets
from dist_alexnet.runs.records import Record


class MetricsFile:
    """Appends records, each whole in one write, so that a reader never sees half of one."""

    def __init__(self, path: Path | None, attempt: int = 0) -> None:
        """`path` None: write nothing, as on every rank but the first."""
        self._path, self._attempt = path, attempt
        self._begun = False

    def write(self, record: Record) -> None:
        """Append one record, with the attempt and the time.

        Raises:
            OSError: it cannot be written, or somebody has deleted the file: it does not come back in a folder that is being deleted.
        """
        if self._path is None:
            return
        content = replace(record, attempt=self._attempt, time=time.time()).as_dict()
        line = to_json(tree_without_secrets(content)).encode() + b"\n"
        with open(self._path, "ab+", opener=_open_existing if self._begun else None) as stream:
            stream.write(self._line_break(stream) + line)
        self._begun = True

    @staticmethod
    def _line_break(stream: IO[bytes]) -> bytes:
        """To end a line that a kill or a full disk cut short: the record would be lost with it."""
        if not stream.seek(0, os.SEEK_END):
            return b""
        stream.seek(-1, os.SEEK_END)
        return b"" if stream.read(1) == b"\n" else b"\n"


def _open_existing(path: str, flags: int) -> int:
    return os.open(path, flags & ~os.O_CREAT)
