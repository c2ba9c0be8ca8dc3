"""What lies in the folder of runs, as far as it was read already. Nothing here lasts longer than the process, nor has to."""

import os
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dist_alexnet.runs.browse.folder import RunsFolder, key_of, shown
from dist_alexnet.runs.browse.followed import Followed
from dist_alexnet.runs.browse.overview import Overview, locked_files, overview

FOLLOWED = 24  # runs whose records are kept in memory
FRESH_S = 1.0  # a listing is good for whoever asks within so long

Mark = tuple[object, ...]  # what changes when a folder does


@dataclass(frozen=True)
class Entry:
    """A folder in the folder."""

    key: str
    name: str  # as a page shows it
    kind: str  # run | certificate | comparison
    seen: Overview


class Catalog:
    """Entries and records of a folder of runs, for all who look at the page."""

    def __init__(self, path: Path) -> None:
        self.folder = RunsFolder(path)
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Mark, Entry | None]] = {}  # by name
        self._followed: OrderedDict[Path, Followed] = OrderedDict()
        self._listed: tuple[float, list[Entry]] = (-1e9, [])

    def entries(self) -> list[Entry]:
        """All that is a run, a certificate or a comparison; empty if the folder is gone."""
        with self._lock:
            at, listed = self._listed
            if time.monotonic() - at < FRESH_S:
                return listed
            names: list[str] = []
            with suppress(OSError):
                names = self.folder.names()
            locked = locked_files()
            listed = [entry for name in names if (entry := self._entry(name, locked))]
            self._known = {name: self._known[name] for name in names if name in self._known}
            self._listed = (time.monotonic(), listed)
            return listed

    def follow(self, path: Path) -> Followed | None:
        """The records of a run."""
        file = self.folder.file(path / "metrics.jsonl")
        if not file:
            return None
        with self._lock:
            followed = self._followed.pop(file, None) or Followed(file)
            self._followed[file] = followed
            while len(self._followed) > FOLLOWED:
                self._followed.popitem(last=False)
            return followed

    def _entry(self, name: str, locked: set[int]) -> Entry | None:
        path = self.folder.path / name
        mark = mark_of(path)
        known = self._known.get(name)
        if known and known[0] == mark and (known[1] is None or known[1].seen.state != "live"):
            return known[1]
        entry = None
        if kind := self._kind(path):
            with suppress(OSError):
                entry = Entry(key_of(name), shown(name), kind, overview(self.folder, path, locked))
        self._known[name] = (mark, entry)
        return entry

    def _kind(self, path: Path) -> str:
        # A comparison has a certificate, too.
        for kind, needs in (("comparison", ["compare.json", "report.html"]), ("certificate", ["certificate.json"])):
            if all(self.folder.file(path / each) for each in needs):
                return kind
        return "run" if any(self.folder.file(path / each) for each in ("metrics.jsonl", "config.yaml")) else ""


def mark_of(path: Path) -> Mark:
    """Of a folder: times and sizes of what its line is made from."""
    found: list[object] = []
    for name in ("", "metrics.jsonl", "summary.json", "logs"):
        with suppress(OSError):
            stat = os.stat(path / name)
            found.append((name, stat.st_size, stat.st_mtime_ns))
    return tuple(found)
