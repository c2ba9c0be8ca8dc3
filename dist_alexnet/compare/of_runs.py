"""The same report of runs that are over, from this machine or another: what they say, and what is not comparable about them."""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from dist_alexnet import registry
from dist_alexnet.compare.interval import Interval
from dist_alexnet.compare.result import BASES, Comparison, Result
from dist_alexnet.compare.results import linear_share
from dist_alexnet.compare.sentence import limit
from dist_alexnet.config import Config, UsageError
from dist_alexnet.resolve import resolve
from dist_alexnet.runs.browse.folder import shown
from dist_alexnet.runs.browse.well_formed import well_formed
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.records import RunStarted, Steps
from dist_alexnet.settings.idle import SAVING
from dist_alexnet.telemetry.clock import PHASES

SECTIONS = ("model", "data", "train")  # of the configuration; what is left out of them is below
BESIDE = {"train": ("epochs", "max_steps", "log_every", "validate_every", *SAVING, "schedule")}


def compare_runs(folders: Sequence[Path]) -> Comparison:
    """Of runs that are over, or still go on; each gives its steps but those up to its first report.

    Raises:
        UsageError: fewer than two, or one is no run, or has not reported twice.
    """
    folders = list(dict.fromkeys(folders))
    if len(folders) < 2:
        raise UsageError(f"--runs compares two runs or more, not {len(folders)}; type their folders after it, as in --runs runs/a runs/b")
    read = [Run(folder, name) for folder, name in zip(folders, _names(folders), strict=True)]
    found = [run.result() for run in read]
    bases = [result for result, run in zip(found, read, strict=True) if run.is_base]
    found = [replace(result, times=_times(result, bases), limit=limit(result, found)) for result in found]
    first = read[0]
    return Comparison(
        measured="runs",
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        results=found,
        setting={
            "runs": [shown(str(run.path)) for run in read],
            "device": first.started.device,
            "dtype": _numbers(first.config),
            "data": _at(first.config, "data", "path") or "generated",
            "model": first.config.get("model"),
        },
        versions=_section(first.environment.get("versions")),
        machine={key: value for key, value in first.environment.items() if key not in ("versions", "command")},
        notes=["runs, one after the other and not in turn: what else their machines did is in the ratios", *_not_comparable(read)],
    )


def _names(folders: Sequence[Path]) -> list[str]:
    """The last part of each path, or all of it where another run has the same."""
    last = [folder.absolute().name for folder in folders]
    return [shown(name if last.count(name) == 1 else str(folder)) for name, folder in zip(last, folders, strict=True)]


class Run:
    """What its folder says: the newest attempt that has reported twice, without its first report."""

    def __init__(self, path: Path, name: str) -> None:
        """`name`: to tell it from the others."""
        self.path, self.name, directory = path, name, RunDirectory(path.absolute())
        if not directory.metrics.exists():
            raise UsageError(
                f"--runs {path}: {'no run is in it' if path.is_dir() else 'there is no such folder'}; type the folder of a run"
            )
        records = [record for record in directory.records() if well_formed(record)]
        started = [record for record in records if isinstance(record, RunStarted)]
        steps = [record for record in records if isinstance(record, Steps)]
        reports = {record.attempt: [each for each in steps if _is_report(each, record)] for record in started}
        reported = [record for record in started if len(reports[record.attempt]) > 1]
        if not reported:
            raise UsageError(f"--runs {path}: it has not reported twice yet; type a run of more than twice its train.log_every steps")
        self.started = reported[-1]
        self.steps = reports[self.started.attempt][1:]
        self.config: Mapping[str, Any] = {}
        self.environment: Mapping[str, Any] = {}
        with suppress(OSError, ValueError, RecursionError, yaml.YAMLError):
            self.config = _section(yaml.safe_load(directory.config.read_text(encoding="utf-8")))
        with suppress(OSError, ValueError, RecursionError):
            self.environment = _section(json.loads(directory.environment.read_text(encoding="utf-8")))

    @property
    def is_base(self) -> bool:
        """With the options of its strategy as they come, so that others may be compared with it."""
        if self.started.strategy not in BASES:
            return False
        usual = asdict(registry.load(registry.STRATEGIES, self.started.strategy).Options())
        return all(usual.get(name) == value for name, value in self.started.options.items())

    def result(self) -> Result:
        """Means over its reports, weighted by steps."""
        started, steps, last = self.started, self.steps, self.steps[-1]
        count = sum(record.steps for record in steps)

        def mean(values: Sequence[float]) -> float:
            return sum(value * record.steps for value, record in zip(values, steps, strict=True)) / count

        phases: list[Mapping[str, float]] = [
            {phase: mean([record.phase_seconds_by_rank[rank].get(phase, 0.0) for record in steps]) for phase in PHASES}
            for rank in range(started.world_size)
        ]
        name = ":".join([started.strategy, *(f"{key}={value}" for key, value in started.options.items())])
        cpu = [sum(record.cpu_seconds_by_rank) for record in steps]
        known = self._known()
        return Result(
            name=f"{self.name} ({started.strategy})",
            strategy=name,
            ranks=started.world_size,
            global_batch=started.global_batch,
            mesh=started.mesh,
            equality="not checked",
            ips=Interval.of([record.images / (record.steps * record.step_seconds) for record in steps]),
            phases=phases,
            exposed={exchange: mean([record.exposed_seconds.get(exchange, 0.0) for record in steps]) for exchange in last.exposed_seconds},
            sent=last.exchange_bytes_per_step,
            memory_bytes=max(last.peak_memory_bytes_by_rank, default=None),
            memory_measured=True,
            cpu_seconds_per_image=mean(cpu) * count / sum(record.images for record in steps) if all(cpu) else None,
            **known,
        )

    def _known(self) -> dict[str, Any]:
        """What its configuration says, if this program can still read it."""
        with suppress(Exception):  # of another version, or with a strategy that is not installed here: the rest is of the run itself
            from dist_alexnet.parallel.explain.layout import lay_out

            config: Config = resolve(self.config, [f"launch.workers={self.started.world_size}", f"launch.device={self.started.device}"])
            return {"parameters": max(lay_out(config).parameters), "linear_share": linear_share(config)}
        return {"parameters": 0}


def _is_report(record: Steps, of: RunStarted) -> bool:
    """Of this attempt, with all that is compared."""
    return (
        record.attempt == of.attempt
        and min(record.steps, record.images) > 0
        and 0 < record.step_seconds < math.inf
        and len(record.phase_seconds_by_rank) == of.world_size
    )


def _times(result: Result, bases: Sequence[Result]) -> dict[str, Interval]:
    """Against runs of the bases with the same batch; the interval takes both ends of both, for nothing pairs them."""
    times = {}
    for base in bases:
        name = base.strategy.partition(":")[0]
        if base.global_batch == result.global_batch and (name == "single" or base.ranks == result.ranks) and name not in times:
            mine, theirs = result.ips, base.ips
            times[name] = Interval(
                mine.median / theirs.median, mine.low / theirs.high, mine.high / theirs.low, min(mine.values, theirs.values)
            )
    return times


def _not_comparable(runs: Sequence[Run]) -> list[str]:
    """In what they differ besides the strategy, a line each."""
    first, lines = runs[0], []
    for run in runs[1:]:
        told = f"{run.name} against {first.name}"
        for section in SECTIONS:
            lines += [f"{told}: {line}" for line in _differing(section, _at(first.config, section), _at(run.config, section))]
        for key in ("processor", "cores", "cuda_devices", "versions"):
            lines += [f"{told}: {line}" for line in _differing(key, first.environment.get(key), run.environment.get(key))]
        if first.started.device != run.started.device:
            lines.append(f"{told}: device is {run.started.device}, not {first.started.device}")
    return lines


def _differing(name: str, one: Any, other: Any) -> list[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [key for key in dict.fromkeys([*one, *other]) if key not in BESIDE.get(name, ())]
        return [line for key in keys for line in _differing(f"{name}.{key}", one.get(key), other.get(key))]
    return [] if one == other else [f"{name} is {other}, not {one}"]


def _at(content: Any, *keys: str) -> Any:
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def _numbers(config: Any) -> Any:
    """As `TrainConfig.numbers`, of a file."""
    precision = _at(config, "train", "precision")
    return _at(config, "train", "dtype") if precision in (None, "fp32") else precision


def _section(content: Any) -> Mapping[str, Any]:
    """Of a file, which may hold anything."""
    return content if isinstance(content, dict) else {}
