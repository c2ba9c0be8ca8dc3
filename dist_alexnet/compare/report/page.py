"""report.html: a comparison for people who were not there, in one file."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dist_alexnet.charts import bars, page
from dist_alexnet.charts.intervals import with_intervals
from dist_alexnet.charts.lost import lost
from dist_alexnet.compare.interval import CONFIDENCE, MIN_ROUNDS, Interval
from dist_alexnet.compare.report.figure import drawn
from dist_alexnet.compare.result import BASES, Comparison, Result

FILE = "report.html"
COLUMNS = (
    "contestant", "ranks", "images/s", "interval", *(f"times {base}" for base in BASES), "efficiency", "step, ms", "sent, MB/step",
    "memory, MiB", "CPU ms/image", "J/image", "equality",
)  # fmt: skip


def write_report(folder: Path, comparison: Comparison) -> None:
    """Leave report.html in a folder."""
    (folder / FILE).write_text(report(comparison), encoding="utf-8", errors="backslashreplace")


def report(comparison: Comparison) -> str:
    """The whole page."""
    return page.page("AlexNet, strategies side by side", _parts(comparison))


def _parts(comparison: Comparison) -> Iterator[str]:
    yield page.note(_made(comparison))
    yield page.lines(comparison.notes, "notes")
    for batch in comparison.batches:
        results = sorted(comparison.of(batch), key=lambda result: -result.ips.median)
        yield page.heading(f"Global batch {batch}: what limits each")
        yield page.lines([result.limit for result in results], f"limits-{batch}")
        yield page.heading(f"Global batch {batch}: numbers")
        yield page.table(COLUMNS, [_row(result) for result in results], f"numbers-{batch}")
        yield page.charts([(f"{name}-{batch}", figure) for name, figure in _charts(results)])
    yield page.heading("Who computes what")
    yield from _figures(comparison)
    if comparison.left_out:
        yield page.heading("Left out")
        yield page.lines(comparison.left_out, "left-out")
    yield page.heading("How this was measured")
    yield page.lines(_how(comparison))


def _made(comparison: Comparison) -> str:
    machine, versions = comparison.machine, comparison.versions
    devices = ", ".join(map(str, machine.get("cuda_devices") or ())) or f"{machine.get('cores_available', machine.get('cores'))} cores"
    on = f"{machine.get('processor', 'an unknown processor')} ({devices})"
    return f"{comparison.made}; {on}; dist-alexnet {versions.get('dist-alexnet')}, torch {versions.get('torch')}"


def _charts(results: Sequence[Result]) -> Iterator[tuple[str, dict[str, Any]]]:
    names = [result.label for result in results]
    yield "throughput", with_intervals("Throughput", "images/s", names, [_triple(result.ips) for result in results])
    for base in BASES:
        if with_base := [result for result in results if base in result.times]:
            title = f"Times as fast as {base}{'' if base == 'single' else ' on as many ranks'}"
            values = [_triple(result.times[base]) for result in with_base]
            yield f"times-{base}", with_intervals(title, "ratio", [result.label for result in with_base], values)
    slowest = [result.phases[result.slowest_rank] for result in results]
    yield "phases", bars.phases("A step of the slowest rank", names, slowest)
    exposed = {exchange: [1000 * result.exposed.get(exchange, 0.0) for result in results] for exchange in _exchanges(results, "exposed")}
    yield "exposed", bars.stacked("Waiting for exchanges, mean over ranks", "ms per step", names, exposed)
    yield "scaling", lost("Scaling over ranks, with memory of a rank", _scaling(results))
    sent = {exchange: [sum(result.sent.get(exchange, {}).values()) / 1e6 for result in results] for exchange in _exchanges(results, "sent")}
    yield "bytes", bars.stacked("Sent by all ranks", "MB per step", names, sent)
    memory = [((result.memory_bytes or 0) / 2**20,) * 3 for result in results]
    how = "measured" if all(result.memory_measured for result in results) else "as explain states it"
    yield "memory", with_intervals(f"Memory of the rank with the most, {how}", "MiB", names, memory)


def _exchanges(results: Sequence[Result], field: str) -> list[str]:
    return list(dict.fromkeys(name for result in results for name in getattr(result, field)))


def _scaling(results: Sequence[Result]) -> dict[str, list[tuple[int, float, float, str]]]:
    """Of each strategy by ranks: against its own fewest ranks, or `single` where that has fewer."""
    single = [result for result in results if result.strategy == "single"]
    alike = Counter((result.strategy, result.ranks) for result in results)
    names = {result.label: result.strategy if alike[result.strategy, result.ranks] == 1 else result.name for result in results}
    series = {}
    for strategy in dict.fromkeys(names.values()):
        mine = sorted((result for result in results if names[result.label] == strategy), key=lambda result: result.ranks)
        fewest = min((*single, *mine), key=lambda result: result.ranks)
        series[strategy] = [
            (result.ranks, result.ips.median, fewest.ips.median * result.ranks / fewest.ranks, _mib(result)) for result in mine
        ]
    return series


def _mib(result: Result) -> str:
    return f"{result.memory_bytes / 2**20:,.0f} MiB" if result.memory_bytes else ""


def _triple(interval: Interval) -> tuple[float, float, float]:
    return interval.median, interval.low, interval.high


def _row(result: Result) -> list[str]:
    times = [f"{each.median:.3f} ({each.low:.3f} to {each.high:.3f})" if each else "-" for each in map(result.times.get, BASES)]
    return [
        result.name,
        str(result.ranks),
        f"{result.ips.median:.2f}",
        f"{result.ips.low:.2f} to {result.ips.high:.2f}",
        *times,
        "-" if result.efficiency is None else f"{result.efficiency:.1%}",
        f"{1000 * result.step_seconds:,.1f}",
        f"{result.sent_bytes / 1e6:,.3f}",
        _mib(result).removesuffix(" MiB") or "-",
        "-" if result.cpu_seconds_per_image is None else f"{1000 * result.cpu_seconds_per_image:.2f}",
        "-" if result.joules_per_image is None else f"{result.joules_per_image:.3f}",
        result.equality,
    ]


def _figures(comparison: Comparison) -> Iterator[str]:
    """What `explain` draws, once for each contestant and number of ranks."""
    seen: dict[str, str] = {}
    for result in comparison.results:
        with suppress(Exception):  # of another version, or with a strategy that is not installed here
            seen.setdefault(f"{result.strategy} on {result.ranks}", drawn(result, comparison.setting))
    for name, svg in seen.items():
        yield page.folded(name, svg)


def _how(comparison: Comparison) -> Iterator[str]:
    setting = comparison.setting
    if comparison.measured == "in turn":
        yield (
            f"All contestants live in the same processes and take a step in turn, in an order that each of the {setting['rounds']} rounds "
            f"draws anew, after {setting['warmup']} rounds that do not count. Ratios are of steps of the same round. From {2 * MIN_ROUNDS} "
            "rounds on the processes are started twice, so that what memory and cores they happen to get is not that of one start alone."
        )
        yield f"First each took steps in float64 that are those of one process, but for who is called inexact; images: {setting['data']}."
    yield (
        f"Numbers are medians with {CONFIDENCE:.0%} intervals: of many more rounds the median would lie within. That of one repeat, on a "
        "machine that does the same besides, lies within in about 95 of 100."
    )
    if any(result.ips.values < MIN_ROUNDS for result in comparison.results):
        yield f"Some are of fewer than {MIN_ROUNDS} values: their interval is as wide as these, and less sure than that."
    yield "The step in ms and its phases are means over the half of the rounds in the middle, so that they add up."
    yield "Efficiency: times as fast as single, over ranks. A slowest rank is the one that waits least for others."
    if not all(result.memory_measured for result in comparison.results):
        yield "Memory: weights, gradients, momentum and activations as explain states them, for contestants share their processes here."
    for key in ("preset", "overrides", "device", "launcher", "dtype", "seed", "classes"):
        if key in setting:
            yield f"{key}: {setting[key]}"
