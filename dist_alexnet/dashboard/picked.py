"""A run that was picked, with what charts need of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from dist_alexnet.charts.look import COLOURS
from dist_alexnet.dashboard.address import View
from dist_alexnet.dashboard.catalog import Catalog, mark_of
from dist_alexnet.dashboard.settings import settings
from dist_alexnet.runs.browse.attempts import newest
from dist_alexnet.runs.browse.folder import name_of, shown
from dist_alexnet.runs.browse.followed import Followed, Look
from dist_alexnet.runs.records import Record, RunStarted, Steps, Validated

NOTHING = Look(records=(), about=0, exact=True, whole=True, searching=False, later="")


@dataclass(frozen=True)
class Picked:
    """One run."""

    key: str
    name: str  # as a page shows it
    colour: str
    path: Path
    look: Look
    steps: list[Steps]  # of each step, the newest attempt's
    validated: list[Validated]
    settings: Mapping[str, str]
    zoom: tuple[float, ...]  # from where to where on the axis; empty: all
    place: Callable[[Any], float]  # of a record on the axis

    @property
    def started(self) -> RunStarted | None:
        """Its newest attempt."""
        return next((each for each in reversed(self.look.records) if isinstance(each, RunStarted)), None)

    @property
    def settled(self) -> list[Steps]:
        """What is zoomed into, but for the first report of a run, in whose time libraries are loaded and code is compiled."""
        return [each for each in self.steps[1:] or self.steps if not self.zoom or self.zoom[0] <= self.place(each) <= self.zoom[1]]

    @property
    def rate(self) -> float | None:
        """Images per second, the median of the reports."""
        rates = [each.total_ips for each in self.settled if each.total_ips is not None]
        return median(rates) if rates else None


def axis(look: Look, x: str) -> Callable[[Any], float]:
    """Where a record stands on an axis; time in minutes since the first record."""
    begin = look.records[0].time if look.records else 0.0
    axes: dict[str, Callable[[Any], float]] = {
        "step": lambda record: record.step,
        "epoch": lambda record: record.epoch,
        "time": lambda record: (record.time - begin) / 60,
    }
    return axes[x]


def pick(catalog: Catalog, view: View) -> list[Picked]:
    """The runs of a view that are there, each with a colour."""
    found: list[Picked] = []
    for key in view.runs:
        if path := catalog.folder.find(key):
            followed = catalog.follow(path)
            look = _look(followed, view) if followed else NOTHING
            found.append(_picked(catalog, key, path, look, COLOURS[len(found) % len(COLOURS)], view))
    return found


def mark(catalog: Catalog, view: View) -> str:
    """What changes when something of the picked runs does; it costs a look at what they have added."""
    known: list[object] = []
    for key in view.runs:
        if path := catalog.folder.find(key):
            followed = catalog.follow(path)
            look = followed.look() if followed else NOTHING
            known.append((key, mark_of(path), look.about, look.searching))
    return str(hash((view.runs, view.x, view.zoom, tuple(known))))


def _look(followed: Followed, view: View) -> Look:
    """Of a run that is too long to be read whole, more of what is zoomed into."""
    look = followed.look()
    if look.whole or not view.zoom:
        return look
    place = axis(look, view.x)
    steps = [(place(record), record.step) for record in look.records if isinstance(record, Steps)]
    first = max((step for at, step in steps if at <= view.zoom[0]), default=0)
    last = min((step for at, step in steps if at >= view.zoom[1]), default=steps[-1][1] if steps else 0)
    return followed.look(closer=(first, max(first, last))) if last > first else look


def _picked(catalog: Catalog, key: str, path: Path, look: Look, colour: str, view: View) -> Picked:
    records: tuple[Record, ...] = look.records
    steps, validated = newest(records, Steps), newest(records, Validated)
    return Picked(
        key, shown(name_of(key)), colour, path, look, steps, validated, settings(catalog.folder, path), view.zoom, axis(look, view.x)
    )
