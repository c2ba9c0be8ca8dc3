"""Where a run is and how fast, in one line of a log, or in a line on a terminal that is drawn anew and takes as many rows as it needs.

Every number has a unit or a label and a width of its own, so that nothing moves while digits change.
"""

import time
from collections.abc import Iterator
from dataclasses import replace

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from dist_alexnet.runs.records import Steps

GAP = "  "
BAR_CELLS = 10
FREE_CELLS = 3  # at the right, for the ^C that a terminal echoes: a row that wraps would not be found again to be erased
BAR, ASCII_BAR = ("\u2501", "\u2500"), ("#", "-")  # of what is done, and of the rest
DAY_S = 24 * 3600


def log_line(record: Steps) -> str:
    """How its newest steps went."""
    return GAP.join((f"epoch {record.epoch:6.2f}", f"step {record.step:6d}", *_speed(record), *_measured(record)))


class RunLine:
    """What is being done, how far it is, and since when; a rich renderable."""

    def __init__(self, doing: str) -> None:
        self.doing = doing  # besides training steps; "": nothing
        self._started = self._told = time.monotonic()
        self._epochs, self._steps = 0.0, 0
        self._record: Steps | None = None

    def begin(self, epochs: float, steps: int) -> None:
        """How far the run will go: passes over the training set, and optimizer steps."""
        self._epochs, self._steps = epochs, steps

    def update(self, record: Steps) -> None:
        """Show how its newest steps went."""
        self.doing, self._record, self._told = "", record, time.monotonic()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = options.max_width - FREE_CELLS
        row = Text()
        for part in self._parts(options.ascii_only):
            if row and len(row) + len(GAP) + len(part) > room:
                yield row
                row = Text()
            row = Text.assemble(row, GAP if row else "", part)
        row.truncate(room)
        yield row

    def _parts(self, ascii_only: bool) -> Iterator[Text]:
        elapsed = f"elapsed {clock(time.monotonic() - self._started)}"
        if (record := self._record) is None:
            yield from (Text(self.doing), Text(elapsed))
            return
        done = min(1.0, record.step / max(self._steps, 1))
        yield _bar(done, ascii_only)
        width = len(f"{self._epochs:.2f}")
        yield Text(f"epoch {record.epoch:{width}.2f}/{self._epochs:g}")
        yield Text(f"step {record.step:{len(str(self._steps))}d}/{self._steps}")
        told = replace(record, seconds_left=_less(record.seconds_left, time.monotonic() - self._told))
        yield from map(Text, (*_speed(told), *_measured(told), elapsed))
        if self.doing:
            yield Text(self.doing, style="bold")


def clock(seconds: float) -> str:
    """Hours, minutes and seconds; from a day on days and hours. Never shorter than 7 cells."""
    minutes, left = divmod(round(seconds), 60)
    if seconds >= DAY_S:
        return f"{minutes // 1440:3d} d {minutes // 60 % 24:2d} h"
    return f"{minutes // 60}:{minutes % 60:02d}:{left:02d}"


def figure(value: float | None) -> str:
    """A number in 7 cells, however large or small: with 6 significant digits, or a power of ten. None, which was not finite: a dash."""
    if value is None:
        return f"{'-':<7}"
    if abs(value) >= 1e6 or 0 < abs(value) < 1e-3:
        return f"{value:<7.1e}"
    return f"{value:<7.{6 - len(str(int(abs(value))))}f}"


def _speed(record: Steps) -> Iterator[str]:
    left, epoch = record.seconds_left, record.seconds_per_epoch
    yield f"left {clock(left) if left is not None else '-:--:--':>7}"
    yield f"{_count(epoch)} s/epoch"


def _measured(record: Steps) -> Iterator[str]:
    waiting = record.phase_seconds["data_wait"] / record.step_seconds if record.step_seconds else 0.0
    yield f"loss {figure(record.loss)}"
    yield f"lr {record.lr:<7.2g}"
    yield f"{_count(record.total_ips)} images/s"
    yield f"data wait {waiting:4.0%}"


def _count(value: float | None) -> str:
    """In 6 cells, with a digit behind the point below 100."""
    return f"{value:6.{1 if value < 100 else 0}f}" if value is not None else f"{'-':>6}"


def _less(seconds: float | None, passed: float) -> float | None:
    return None if seconds is None else max(0.0, seconds - passed)


def _bar(done: float, ascii_only: bool) -> Text:
    full = round(BAR_CELLS * done)
    whole, rest = ASCII_BAR if ascii_only else BAR
    return Text.assemble((whole * full, "bar.complete"), (rest * (BAR_CELLS - full), "bar.back"))
