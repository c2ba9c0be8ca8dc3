"""What a terminal shows of a comparison."""

from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from dist_alexnet.cli.screen.shown import shown
from dist_alexnet.compare.interval import Interval
from dist_alexnet.compare.result import BASES, Comparison, Result

SPEED = ("contestant", "images/s", "x single", "x ddp", "eff.")
COSTS = ("contestant", "compute", "data", "comm.", "wait", "update", "other", "MB", "MiB", "CPU")
NAME_CELLS = 24  # longer names are folded


def print_comparison(comparison: Comparison, folder: Path) -> None:
    """A table for each batch, a sentence for each contestant, and where the rest is."""
    console = Console(markup=False, highlight=False, soft_wrap=False)
    for batch in comparison.batches:
        results = sorted(comparison.of(batch), key=lambda result: -result.ips.median)
        console.print(_heading(comparison, batch), soft_wrap=True)
        console.print(_table(SPEED, [_speed(result) for result in results]))
        console.print("ms per step of the slowest rank; MB that all send in it; MiB that a rank keeps; CPU ms per image", soft_wrap=True)
        console.print(_table(COSTS, [_costs(result) for result in results]))
        for result in results:
            console.print(shown(f"  {result.limit}"), soft_wrap=True)
        console.print()
    for line in (*comparison.notes, *(f"left out: {each}" for each in comparison.left_out)):
        console.print(shown(line), soft_wrap=True)
    if inexact := [result.label for result in comparison.results if result.equality.startswith("inexact")]:
        console.print(shown(f"not the same step, by rounding: {', '.join(dict.fromkeys(inexact))}"), soft_wrap=True)
    console.print(shown(f"written to {folder / 'report.html'}, compare.json and compare.csv"), soft_wrap=True)


def _heading(comparison: Comparison, batch: int) -> str:
    how = f"{comparison.setting['rounds']} rounds" if comparison.measured == "in turn" else "finished runs"
    return f"global batch {batch} on {comparison.setting['device']}, {comparison.setting['dtype']}; {how}"


def _table(headings: Sequence[str], rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False)
    longest = max(len(row[0]) for row in rows)
    for heading in headings:
        is_text = heading == "contestant"
        table.add_column(heading, justify="left" if is_text else "right", no_wrap=not is_text or longest <= NAME_CELLS, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _speed(result: Result) -> tuple[str, ...]:
    times = (_interval(result.times[base], 2) if base in result.times else "-" for base in BASES)
    return (
        shown(result.label),
        _interval(result.ips, 1 if result.ips.median < 100 else 0),
        *times,
        "-" if result.efficiency is None else f"{result.efficiency:.0%}",
    )


def _costs(result: Result) -> tuple[str, ...]:
    phases = result.phases[result.slowest_rank]
    return (
        shown(result.label),
        _ms(phases["forward"] + phases["backward"]),
        _ms(phases["data_wait"] + phases["h2d"]),
        _ms(phases["communication"]),
        _ms(max(rank["rank_wait"] for rank in result.phases)),
        _ms(phases["optimizer"]),
        _ms(phases["other"]),
        f"{result.sent_bytes / 1e6:,.1f}",
        "-" if result.memory_bytes is None else f"{result.memory_bytes / 2**20:,.0f}",
        "-" if result.cpu_seconds_per_image is None else f"{1000 * result.cpu_seconds_per_image:.1f}",
    )


def _interval(value: Interval, digits: int) -> str:
    return f"{value.median:.{digits}f} ({value.low:.{digits}f}-{value.high:.{digits}f})"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:,.0f}" if seconds >= 0.01 else f"{1000 * seconds:.1f}"
