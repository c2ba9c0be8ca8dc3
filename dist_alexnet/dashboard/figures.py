"""The charts of picked runs. Each takes the runs and an axis, and gives a figure, or None where no run has anything to show."""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, median
from typing import Any

from dist_alexnet.charts.bars import phases, stacked
from dist_alexnet.charts.lines import Curve, lines
from dist_alexnet.charts.scaling import scaling
from dist_alexnet.dashboard.picked import Picked

Figure = dict[str, Any]
AXIS_TITLES = {"step": "step", "epoch": "epoch", "time": "minutes since the first record"}
UNLIKE = 1.05  # ranks whose memory differs by more have two curves
MOST_BARS = 48  # more cannot be told apart


def throughput(runs: Sequence[Picked], x: str) -> Figure | None:
    """Images per second."""
    curves = [_curve(run, run.steps, lambda record: record.total_ips) for run in runs]
    return _lines("Images per second", x, "images/s", curves)


def loss(runs: Sequence[Picked], x: str) -> Figure | None:
    """Of training, and of validations."""
    curves = []
    for run in runs:
        curves.append(_curve(run, run.steps, lambda record: record.loss))
        curves.append(_curve(run, run.validated, lambda record: record.loss, ", validation", "dot"))
    return _lines("Loss", x, "loss, mean over the report", curves)


def errors(runs: Sequence[Picked], x: str) -> Figure | None:
    """Of validations."""
    curves = []
    for run in runs:
        curves.append(_curve(run, run.validated, lambda record: 100 * record.top1_error, ", top-1"))
        curves.append(_curve(run, run.validated, lambda record: 100 * record.top5_error, ", top-5", "dot"))
    return _lines("Validation errors", x, "%", curves)


def where_time_goes(runs: Sequence[Picked], x: str) -> Figure | None:
    """Phases, a bar for each run."""
    shown = [run for run in runs if run.settled]
    means = [_mean([(each.phase_seconds, each.steps) for each in run.settled]) for run in shown]
    return phases("Time of a step, by run", [run.name for run in shown], means) if shown else None


def by_rank(runs: Sequence[Picked], x: str) -> Figure | None:
    """Phases, a bar for each rank."""
    bars: list[tuple[str, Mapping[str, float]]] = []
    for run in runs:
        reports = [each for each in run.settled if each.phase_seconds_by_rank]
        ranks = min((len(each.phase_seconds_by_rank) for each in reports[-1:]), default=0)
        of_now = [each for each in reports if len(each.phase_seconds_by_rank) == ranks]
        for rank in range(ranks):
            bars.append((f"{run.name}, rank {rank}", _mean([(each.phase_seconds_by_rank[rank], each.steps) for each in of_now])))
    shown = bars[:MOST_BARS]
    more = f", the first {MOST_BARS} of {len(bars)} ranks" if len(bars) > MOST_BARS else ""
    title = f"Time of a step, by rank{more}"
    return phases(title, [label for label, _ in shown], [seconds for _, seconds in shown]) if shown else None


def exposed(runs: Sequence[Picked], x: str) -> Figure | None:
    """Communication that nothing hid, by exchange."""
    shown = [run for run in runs if any(each.exposed_seconds for each in run.settled)]
    means = [_mean([(each.exposed_seconds, each.steps) for each in run.settled]) for run in shown]
    return _parts("Exposed wait, by exchange", "ms per step, mean over ranks", shown, means, 1e3)


def sent(runs: Sequence[Picked], x: str) -> Figure | None:
    """Bytes, by exchange."""
    shown = [run for run in runs if run.steps and run.steps[-1].exchange_bytes_per_step]
    sums = [{name: sum(passes.values()) for name, passes in run.steps[-1].exchange_bytes_per_step.items()} for run in shown]
    return _parts("Sent per step, by exchange", "MB, all ranks", shown, sums, 1e-6)


def memory(runs: Sequence[Picked], x: str) -> Figure | None:
    """Most that any rank ever held, and the least of them."""
    curves = []
    for run in runs:
        curves.append(_curve(run, run.steps, lambda record: _mib(max, record.peak_memory_bytes_by_rank)))
        if any(
            max(each.peak_memory_bytes_by_rank) > UNLIKE * min(each.peak_memory_bytes_by_rank)
            for each in run.steps
            if each.peak_memory_bytes_by_rank
        ):
            curves.append(_curve(run, run.steps, lambda record: _mib(min, record.peak_memory_bytes_by_rank), ", the least", "dot"))
    return _lines("Peak memory of the largest rank", x, "MiB", curves)


def over_ranks(runs: Sequence[Picked], x: str) -> Figure | None:
    """Runs that differ in their ranks alone."""
    families: dict[tuple[object, ...], dict[int, list[float]]] = {}
    names: dict[tuple[object, ...], str] = {}
    for run in runs:
        if (started := run.started) and run.rate is not None and started.world_size > 0:
            kept = [pair for pair in sorted(run.settings.items()) if not pair[0].startswith(("launch.", "observers"))]
            family = (*kept, started.device, started.global_batch, started.strategy)
            families.setdefault(family, {}).setdefault(started.world_size, []).append(run.rate)
            names[family] = f"{started.strategy}, batch {started.global_batch}"
    several = [key for key, of in families.items() if len(of) > 1]
    points = {_free(key, several, names): [(ranks, median(rates)) for ranks, rates in families[key].items()] for key in several}
    return scaling("Scaling: runs that differ in ranks only", points) if points else None


CHARTS: Mapping[str, Callable[[Sequence[Picked], str], Figure | None]] = {
    "throughput": throughput,
    "loss": loss,
    "errors": errors,
    "phases": where_time_goes,
    "ranks": by_rank,
    "exposed": exposed,
    "bytes": sent,
    "memory": memory,
    "scaling": over_ranks,
}


def _curve(run: Picked, records: Sequence[Any], value: Callable[[Any], float | None], more: str = "", dash: str = "solid") -> Curve:
    return Curve(run.name + more, [run.place(each) for each in records], [value(each) for each in records], run.colour, dash)


def _lines(title: str, x: str, y: str, curves: Sequence[Curve]) -> Figure | None:
    shown = [curve for curve in curves if any(value is not None for value in curve.y)]
    return lines(title, AXIS_TITLES[x], y, shown) if shown else None


def _parts(title: str, x: str, runs: Sequence[Picked], values: Sequence[Mapping[str, float]], scale: float) -> Figure | None:
    names = list(dict.fromkeys(name for each in values for name in each))
    parts = {name: [scale * each.get(name, 0.0) for each in values] for name in names}
    return stacked(title, x, [run.name for run in runs], parts) if names else None


def _mean(weighted: Sequence[tuple[Mapping[str, float], int]]) -> dict[str, float]:
    """Of mappings of numbers, each as often as it says."""
    names = dict.fromkeys(name for each, _ in weighted for name in each)
    weights = [max(weight, 1) for _, weight in weighted]
    return {name: fmean([each.get(name, 0.0) for each, _ in weighted], weights) for name in names}


def _mib(which: Callable[[Sequence[int]], int], values: Sequence[int]) -> float | None:
    return which(values) / 2**20 if values else None


def _free(key: tuple[object, ...], several: Sequence[tuple[object, ...]], names: Mapping[tuple[object, ...], str]) -> str:
    """With a number where families of different settings have one name."""
    alike = [each for each in several if names[each] == names[key]]
    return names[key] if len(alike) == 1 else f"{names[key]} ({alike.index(key) + 1})"
