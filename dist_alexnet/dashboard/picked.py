"""A run that was picked, with what charts need of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from dist_alexnet.charts.look import COLOURS
from dist_alexnet.dashboard.address import View
from dist_alexnet.dashboard.catalog import Catalog
from dist_alexnet.dashboard.settings import settings
from dist_alexnet.runs.browse.attempts import newest
from dist_alexnet.runs.browse.folder import name_of, shown
from dist_alexnet.runs.browse.followed import Look
from dist_alexnet.runs.records import Record, RunStarted, Steps, Validated

NOTHING = Look(records=(), about=0, whole=True, searching=False, later="")


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

    @property
    def started(self) -> RunStarted | None:
        """Its newest attempt."""
        return next((each for each in reversed(self.look.records) if isinstance(each, RunStarted)), None)

    @property
    def settled(self) -> list[Steps]:
        """But for the first report, in whose time libraries are loaded and code is compiled."""
        return self.steps[1:] or self.steps

    @property
    def rate(self) -> float | None:
        """Images per second, the median of the reports."""
        rates = [each.total_ips for each in self.settled if each.total_ips is not None]
        return median(rates) if rates else None

    def axis(self, x: str) -> Callable[[Any], float]:
        """Where a record stands on an axis; time in minutes since the first record."""
        begin = self.look.records[0].time if self.look.records else 0.0
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
            look = followed.look() if followed else NOTHING
            found.append(_picked(catalog, key, path, look, COLOURS[len(found) % len(COLOURS)]))
    return found


def _picked(catalog: Catalog, key: str, path: Path, look: Look, colour: str) -> Picked:
    records: tuple[Record, ...] = look.records
    steps, validated = newest(records, Steps), newest(records, Validated)
    return Picked(key, shown(name_of(key)), colour, path, look, steps, validated, settings(catalog.folder, path))
