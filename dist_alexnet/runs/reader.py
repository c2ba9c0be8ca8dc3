"""Reads metrics.jsonl while it grows: for the driver, and for whoever looks at a run that is over or not."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dist_alexnet.runs.records import Record, parse

CHUNK_BYTES = 2**20


class Reader:
    """The records of a file that is only appended to, each passed on once. Holds a chunk and a line in memory, however long the file is."""

    def __init__(self, path: Path, start: int = 0, end: int | None = None) -> None:
        """`start` and `end`: in bytes, where a line begins; lines that begin at the end or after it are none of ours."""
        self._path, self._position, self._end = path, start, end

    @staticmethod
    def from_now_on(path: Path) -> "Reader":
        """For what is going to be written, after all that is there."""
        return Reader(path, path.stat().st_size if path.exists() else 0)

    def before(self) -> "Reader":
        """For what lies before the place where this one is: together they pass on each line once."""
        return Reader(self._path, end=self._position)

    def new(self, unfinished: bool = False) -> Iterator[Record]:
        """Records of the lines that were added since the last call; what is none is left out, as a line that a full disk cut short.

        Args:
            unfinished: the last line counts though no line break follows it: nobody is writing it any more.

        Raises:
            UsageError: a later version of this program has written it.
        """
        try:
            stream = self._path.open("rb")
        except OSError:  # it is not there yet, or not any more, which whoever writes it will say
            return
        with stream:
            stream.seek(self._position)
            rest = b""
            while chunk := stream.read(CHUNK_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if self._end is not None and self._position >= self._end:
                        return
                    self._position += len(line) + 1
                    if record := record_of(line):
                        yield record
        if unfinished and (record := record_of(rest)):
            yield record


def record_of(line: bytes) -> Record | None:
    """What a line says; None: it is no record.

    Raises:
        UsageError: a later version of this program has written it.
    """
    content = None
    with suppress(ValueError, RecursionError):
        content = json.loads(line)
    return parse(content) if isinstance(content, dict) else None
