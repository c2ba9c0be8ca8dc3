"""A file of records that is looked at again and again while it grows, however long it has become.

What is read is kept, so that another look costs what was added. Of a long file a sample is read at once, and what is rare in it, a
validation among a thousand lines of steps, is searched for by a thread.
"""

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dist_alexnet.runs.browse.sample import COMMON, MOST_LINE_BYTES, POINTS, sample, tolerant
from dist_alexnet.runs.records import Record, Steps

MOST_STEPS = 2 * POINTS  # records of steps that are kept; a live run that has more gives up every other one
MOST_RARE = 20_000
CHUNK_BYTES = 2**23


@dataclass(frozen=True)
class Look:
    """What is known of a file of records."""

    records: tuple[Record, ...]  # in the order of the file
    about: int  # lines in the file
    exact: bool  # they were counted, not estimated
    whole: bool  # every line was read
    searching: bool  # for what is rare
    later: str  # what is said of lines that a later version has written

    @property
    def note(self) -> str:
        """What whoever sees the records must know."""
        told = []
        if not self.whole:
            told.append(f"{len(self.records):,} of {'' if self.exact else 'about '}{self.about:,} records are shown")
        if self.searching:
            told.append("validations, checkpoints and bad images are still being looked for")
        return "; ".join([*told, *([self.later] if self.later else [])])


class Followed:
    """The records of one file. Threads may share it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._search: threading.Thread | None = None
        self._kept: dict[int, Record] = {}  # by place in the file
        self._rare: dict[int, Record] = {}
        self._inode, self._end, self._lines = -1, 0, 0
        self._whole, self._later = True, ""
        self._estimated = 0  # parts of the file whose lines were not counted

    def look(self, closer: tuple[int, int] | None = None) -> Look:
        """Read what was added since the last look; from the beginning if the file is another one.

        Args:
            closer: of what lies between these two steps as many records more as of the whole file.
        """
        with self._lock:
            with suppress(OSError):
                stat = self._path.stat()
                if stat.st_ino != self._inode or stat.st_size < self._end:
                    self._forget()
                    self._inode = stat.st_ino
                if stat.st_size > self._end:
                    self._read_on()
            more = self._between(*closer) if closer and not self._whole else {}
            return Look(
                records=tuple(record for _, record in sorted((more | self._rare | self._kept).items())),
                about=self._lines,
                exact=not self._estimated,
                whole=self._whole,
                searching=self._search is not None and self._search.is_alive(),
                later=self._later,
            )

    def wait(self) -> None:
        """Until what is rare is found, too."""
        if self._search:
            self._search.join()

    def _forget(self) -> None:
        self._kept, self._rare = {}, {}  # new ones: a thread may still be adding to the old
        self._end, self._lines, self._whole, self._later, self._estimated = 0, 0, True, "", 0
        self._search = None

    def _read_on(self) -> None:
        found = sample(self._path, start=self._end)
        self._kept.update(zip(found.places, found.records, strict=True))
        self._later = self._later or found.later
        self._lines += found.about
        if not found.whole:
            self._whole = False
            self._estimated += 1
            span = (self._end, self._end + found.size, found.about)
            self._search = threading.Thread(target=self._find_rare, args=(self._rare, *span), daemon=True)
            self._search.start()
        self._end += found.size
        self._thin()

    def _between(self, first: int, last: int) -> dict[int, Record]:
        steps = [(place, record.step) for place, record in sorted(self._kept.items()) if isinstance(record, Steps)]
        start = max((place for place, step in steps if step <= first), default=0)
        end = min((place for place, step in steps if step >= last and place > start), default=self._end)
        found = sample(self._path, start=start, end=end)
        return dict(zip(found.places, found.records, strict=True))

    def _thin(self) -> None:
        places = [place for place, record in self._kept.items() if isinstance(record, Steps)]
        while len(places) > MOST_STEPS:
            for place in places[1:-1:2]:
                del self._kept[place]
            self._whole = False
            places = [place for place in places if place in self._kept]

    def _find_rare(self, into: dict[int, Record], start: int, end: int, estimate: int) -> None:
        found: dict[int, Record] = {}
        lines = 0
        for counted, rare in uncommon(self._path, start, end):
            lines += counted
            for place, line in rare[: MOST_RARE - len(found)]:
                record, _ = tolerant(line)
                if record:
                    found[place] = record
        with self._lock:
            into.update(found)
            if into is self._rare:  # the file is still the same
                self._lines += lines - estimate
                self._estimated -= 1


def uncommon(path: Path, start: int, end: int) -> Iterator[tuple[int, list[tuple[int, bytes]]]]:
    """By pieces of a file: how many lines end in it, and those that say no steps, with where they begin; a gigabyte takes seconds."""
    place, rest = start, b""
    with suppress(OSError), path.open("rb") as stream:
        stream.seek(start)
        while (left := end - place - len(rest)) > 0 and (chunk := stream.read(min(CHUNK_BYTES, left))):
            *lines, rest = (rest + chunk).split(b"\n")
            rare = []
            for line in lines:
                if not line.startswith(COMMON):
                    rare.append((place, line))
                place += len(line) + 1
            yield len(lines), rare
            if len(rest) > MOST_LINE_BYTES:  # that is no line of ours
                place, rest = place + len(rest), b""
