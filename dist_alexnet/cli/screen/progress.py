"""How far a command is that goes through many images."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOOKING = "looking for photographs"
LINE_S = 30  # between two lines of progress where there is no terminal

Tell = Callable[[int, int | None], None]


@contextmanager
def progress_bar(label: str, unit: str = "images") -> Iterator[Tell]:
    """A bar with rate and time left on a terminal; elsewhere a line at the start, and one every half minute, on stderr.

    Takes how many are done, and how many there are: None while they are being looked for.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{_rate(task.speed)} {unit}/s" if task.speed else "")

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        looking, working = (bar.add_task(stage, total=None, visible=stage == label) for stage in (LOOKING, label))
        lines = {looking: _lines(LOOKING, unit), working: _lines(label, unit)}

        def tell(done: int, total: int | None) -> None:
            now, other = (looking, working) if total is None else (working, looking)
            if console.is_terminal:
                bar.update(other, visible=False)
                bar.update(now, completed=done, total=total, visible=True)
            else:
                lines[now](done, total)

        yield tell


def _lines(label: str, unit: str) -> Tell:
    started = told = 0.0
    first = -1

    def tell(done: int, total: int | None) -> None:
        nonlocal started, told, first
        now = time.monotonic()
        if first < 0:
            started, told, first = now, now, done
            print(f"{label} ...", file=sys.stderr)
        if now - told >= LINE_S and done > first:
            told, rate = now, (done - first) / (now - started)
            left = f" of {total:,}, {_rate(rate)} {unit}/s, {_time((total - done) / rate)} left" if total is not None else ""
            print(f"{label}: {done:,}{left}", file=sys.stderr)

    return tell


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.2g}"


def _time(seconds: float) -> str:
    return f"{seconds / 60:,.0f} minutes" if seconds >= 120 else f"{seconds:.0f} s"
