"""Some lines of a file of records that is too long to be read whole while somebody waits: evenly spaced, the first and the last.

A line of a run with few ranks has 1.5 kB, and JSON takes 15 microseconds of it: a million lines take a quarter of a minute. So lines are
looked for from evenly spaced places in the file, which costs the same whatever its length.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from dist_alexnet.config import UsageError
from dist_alexnet.runs.browse.well_formed import well_formed
from dist_alexnet.runs.reader import record_of
from dist_alexnet.runs.records import Record

WHOLE_BYTES = 3 * 2**20  # up to here a file is read whole
POINTS = 1000
END_BYTES = 2**17  # of the beginning and of the end of a file, which are read whole
PIECE_BYTES = 2**14  # of a place between; a line that is longer costs another read
MOST_LINE_BYTES = 2**20  # a line that is longer is none of ours, and nobody looks for its end
COMMON = b'{"kind": "train"'  # how nearly all lines begin


@dataclass
class Sample:
    """What was read of a file, in its order."""

    places: list[int] = field(default_factory=list)  # of the records: bytes before their lines
    records: list[Record] = field(default_factory=list)
    lines: int = 0  # that were read
    read_bytes: int = 0  # of these
    size: int = 0  # of the file, up to the end of its last whole line
    later: str = ""  # what is said of lines that a later version has written

    @property
    def whole(self) -> bool:
        """Every line was read."""
        return self.read_bytes >= self.size

    @property
    def about(self) -> int:
        """Lines in the file, from the mean length of those that were read."""
        return round(self.lines * self.size / self.read_bytes) if self.read_bytes else 0

    def add(self, place: int, line: bytes) -> None:
        """A line, and where it begins."""
        self.lines += 1
        self.read_bytes += len(line) + 1
        record, self.later = tolerant(line, self.later)
        if record:
            self.places.append(place)
            self.records.append(record)


def tolerant(line: bytes, later: str = "") -> tuple[Record | None, str]:
    """The record of a line, and what is to be said of lines of later versions so far."""
    try:
        record = record_of(line)
        return (record if record and well_formed(record) else None), later
    except UsageError as error:
        return None, later or str(error)


def sample(path: Path, points: int = POINTS, start: int = 0, end: int | None = None) -> Sample:
    """Read a file of records, or what lies between two places where lines begin: all of it if that is little, evenly spaced lines if not.

    A last line without its end is left out, for somebody is about to write the rest of it.
    """
    found = Sample()
    with suppress(OSError), path.open("rb") as stream:
        end = _last_line_end(stream, start) if end is None else end
        found.size = end - start
        if found.size <= WHOLE_BYTES:
            _read(stream, found, start, end)
            return found
        middle = _read(stream, found, start, start + END_BYTES)
        tail = max(middle, _line_start(stream, end - END_BYTES, end))
        step = max(1, (tail - middle) // points)
        _pick(stream, found, range(middle, tail, step), tail)
        _read(stream, found, tail, end)
    return found


def _read(stream: IO[bytes], found: Sample, start: int, end: int) -> int:
    """All lines that end there or before; where the next one begins."""
    stream.seek(start)
    place = start
    for line in stream.read(max(0, end - start)).split(b"\n")[:-1]:
        found.add(place, line)
        place += len(line) + 1
    return place


def _pick(stream: IO[bytes], found: Sample, places: Iterable[int], end: int) -> None:
    done = -1
    for place in places:
        begin = _line_start(stream, place, end)
        if begin <= done or begin >= end:
            continue
        stream.seek(begin)
        found.add(begin, stream.readline(MOST_LINE_BYTES).rstrip(b"\n"))
        done = begin


def _line_start(stream: IO[bytes], place: int, end: int) -> int:
    """Where the first line begins at or after a place."""
    if place <= 0:
        return 0
    stream.seek(place - 1)
    until = min(end, place + MOST_LINE_BYTES)
    while place < until and (piece := stream.read(PIECE_BYTES)):
        if (found := piece.find(b"\n")) >= 0:
            return place + found
        place += len(piece)
    return end


def _last_line_end(stream: IO[bytes], start: int) -> int:
    """Just after the last line break, or `start` where there is none."""
    end = stream.seek(0, os.SEEK_END)
    until = max(start, end - MOST_LINE_BYTES)
    while end > until:
        begin = max(start, end - PIECE_BYTES)
        stream.seek(begin)
        if (found := stream.read(end - begin).rfind(b"\n")) >= 0:
            return begin + found + 1
        end = begin
    return start
