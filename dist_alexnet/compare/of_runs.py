"""The same report of runs that are over, from this machine or another: what they say, and what is not comparable about them."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from dist_alexnet.compare.interval import Interval
from dist_alexnet.compare.result import Comparison, Result
from dist_alexnet.compare.results import linear_share
from dist_alexnet.compare.sentence import limit
from dist_alexnet.config import Config, UsageError
from dist_alexnet.resolve import resolve
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.records import RunStarted, Steps

COMMON = ("model", "data", "train")  # sections of the configuration; what is left of them for comparing is below
BESIDE = {"train": ("epochs", "max_steps", "log_every", "validate_every", "checkpoint_every", "keep_checkpoints", "schedule")}


def compare_runs(folders: Sequence[Path]) -> Comparison:
    """Of runs that are over, or still go on; each gives its steps but those up to its first report.

    Raises:
        UsageError: fewer than two, or one is no run, or has not reported twice.
    """
    if len(folders) < 2:
        raise UsageError(f"--runs compares two runs or more, not {len(folders)}; type their folders after it, as in --runs runs/a runs/b")
    read = [Run(folder) for folder in folders]
    found = [run.result() for run in read]
    found = [replace(result, times=_times(result, found), limit=limit(result, found)) for result in found]
    first = read[0]
    return Comparison(
        measured="runs",
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        results=found,
        setting={
            "runs": [str(run.path) for run in read],
            "device": first.started.device,
            "dtype": _at(first.config, "train", "dtype"),
            "data": _at(first.config, "data", "path") or "generated",
            "model": first.config.get("model"),
        },
        versions=first.environment.get("versions", {}),
        machine={key: value for key, value in first.environment.items() if key not in ("versions", "command")},
        notes=["runs, one after the other and not in turn: what else their machines did is in the ratios", *_not_comparable(read)],
    )


class Run:
    """What its folder says."""

    def __init__(self, path: Path) -> None:
        self.path, directory = path, RunDirectory(path.absolute())
        if not directory.metrics.exists():
            raise UsageError(
                f"--runs {path}: {'no run is in it' if path.is_dir() else 'there is no such folder'}; type the folder of a run"
            )
        records = list(directory.records())
        started = [record for record in records if isinstance(record, RunStarted)]
        self.steps = [record for record in records if isinstance(record, Steps) and record.steps and record.phase_seconds_by_rank][1:]
        if not started or not self.steps:
            raise UsageError(f"--runs {path}: it has not reported twice yet; type a run of more than twice its train.log_every steps")
        self.started = started[-1]
        self.steps = [record for record in self.steps if record.attempt == self.started.attempt] or self.steps
        self.config: Mapping[str, Any] = {}
        self.environment: Mapping[str, Any] = {}
        with suppress(OSError, yaml.YAMLError):
            self.config = yaml.safe_load(directory.config.read_text(encoding="utf-8")) or {}
        with suppress(OSError, ValueError):
            self.environment = json.loads(directory.environment.read_text(encoding="utf-8"))

    def result(self) -> Result:
        """Means over its reports, weighted by steps."""
        started, steps, last = self.started, self.steps, self.steps[-1]
        count = sum(record.steps for record in steps)

        def mean(values: Sequence[float]) -> float:
            return sum(value * record.steps for value, record in zip(values, steps, strict=True)) / count

        phases: list[Mapping[str, float]] = [
            {phase: mean([record.phase_seconds_by_rank[rank].get(phase, 0.0) for record in steps]) for phase in last.phase_seconds}
            for rank in range(len(last.phase_seconds_by_rank))
        ]
        name = ":".join([started.strategy, *(f"{key}={value}" for key, value in started.options.items())])
        cpu = [sum(record.cpu_seconds_by_rank) for record in steps]
        known = self._known()
        return Result(
            name=f"{self.path.name} ({started.strategy})",
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
            cpu_seconds_per_image=mean(cpu) / started.global_batch if all(cpu) else None,
            **known,
        )

    def _known(self) -> dict[str, Any]:
        """What its configuration says, if this program can still read it."""
        with suppress(Exception):  # of another version, or with a strategy that is not installed here: the rest is of the run itself
            from dist_alexnet.parallel.explain.layout import lay_out

            config: Config = resolve(self.config, [f"launch.workers={self.started.world_size}", f"launch.device={self.started.device}"])
            return {"parameters": max(lay_out(config).parameters), "linear_share": linear_share(config)}
        return {"parameters": 0}


def _times(result: Result, found: Sequence[Result]) -> dict[str, Interval]:
    """Against runs of the bases with the same batch; the interval takes both ends of both, for nothing pairs them."""
    times = {}
    for base in found:
        alike = base.global_batch == result.global_batch and (base.strategy == "single" or base.ranks == result.ranks)
        name = base.strategy.partition(":")[0]
        if alike and name in ("single", "ddp") and name not in times:
            mine, theirs = result.ips, base.ips
            times[name] = Interval(
                mine.median / theirs.median, mine.low / theirs.high, mine.high / theirs.low, min(mine.values, theirs.values)
            )
    return times


def _not_comparable(runs: Sequence[Run]) -> list[str]:
    """In what they differ besides the strategy, a line each."""
    first, lines = runs[0], []
    for run in runs[1:]:
        told = f"{run.path.name} against {first.path.name}"
        for section in COMMON:
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
