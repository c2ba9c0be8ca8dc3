"""Runs a comparison: first whether all are equal, then the race, batch by batch. What is done is in its folder, and is not done again."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from dist_alexnet.compare import equality
from dist_alexnet.compare.interval import MIN_ROUNDS
from dist_alexnet.compare.race import Course, race, read_rounds
from dist_alexnet.compare.request import Prepared
from dist_alexnet.compare.result import Comparison
from dist_alexnet.compare.results import Entry, results
from dist_alexnet.config import UsageError
from dist_alexnet.json_text import to_json
from dist_alexnet.redact import tree_without_secrets
from dist_alexnet.runs.browse.folder import shown
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.writable import remedy
from dist_alexnet.settings.presets import PAPER
from dist_alexnet.telemetry.environment import describe_machine, versions
from dist_alexnet.trials.run import Launch, Trials

REQUEST, RANKS = "request.json", "ranks"


def run(prepared: Prepared, folder: Path, launch: Launch, tell: Callable[[str], None]) -> Comparison:
    """From contestants to a comparison.

    Args:
        prepared: contestants.
        folder: for what is measured; logs of ranks go to one inside.
        launch: gives the launcher of a configuration.
        tell: hears a line of what is being done.

    Raises:
        Unequal: some do not compute the same step.
        TrainingFailed: a contestant failed, or somebody stopped us; `resume` in the same folder goes on.
    """
    heats, ranks = prepared.heats, RunDirectory(folder / RANKS)
    distinct = {entry.label: entry for heat in heats.values() for entry in heat}
    found = equality.check(list(distinct.values()), prepared.data, folder, ranks, launch, tell)
    measured = []
    for batch, heat in heats.items():
        entries = [replace(entry, equality=found[entry.label]) for entry in heat]
        file = folder / f"rounds-{batch}.jsonl"
        for rounds in _until(prepared.asked.rounds):
            if (done := len(read_rounds(file))) < rounds:
                warmup = f", after {prepared.asked.warmup} to warm up" if prepared.asked.warmup else ""
                tell(f"batch {batch}: {len(entries)} contestants, rounds {done + 1} to {rounds}{warmup}")
                _race(prepared, rounds, entries, file, ranks, launch)
        measured += results(entries, read_rounds(file)[: prepared.asked.rounds])
    return Comparison(
        measured="in turn",
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        results=measured,
        setting=_setting(prepared),
        versions=versions(),
        machine=_machine(),
        left_out=prepared.left_out,
    )


def begin(prepared: Prepared, path: Path, resume: bool) -> None:
    """Take a folder for a comparison, or go on with the one that is there.

    Raises:
        UsageError: there is another one, or none to go on with.
    """
    file, on = path / REQUEST, {**_machine(), "versions": versions()}
    mine = tree_without_secrets({"asked": asdict(prepared.asked), "heats": _heats(prepared), "on": on})
    with writing(path):
        if not file.exists():
            if resume:
                raise UsageError(f"--resume: there is no comparison in {path}; type --out with the folder of one, or leave --resume out")
            check_empty(path)
            path.mkdir(parents=True, exist_ok=True)
            file.write_text(to_json(mine, indent=2, sort_keys=True) + "\n")
        elif not resume:
            raise UsageError(f"--out {path}: there is a comparison in it; type --resume to go on with it, or another --out")
        else:
            _check_same(file, json.loads(to_json(mine)))


def check_empty(path: Path) -> None:
    """Refuse a folder that holds anything (UsageError)."""
    with writing(path):
        if os.path.lexists(path) and any(path.iterdir()):
            raise UsageError(f"--out {path}: there are other things in it; type a new folder")


def _check_same(file: Path, mine: Mapping[str, Any]) -> None:
    before: Any = None
    with suppress(ValueError, RecursionError):
        before = json.loads(file.read_text())
    if not isinstance(before, dict) or any(before.get(key) != mine[key] for key in ("asked", "heats")):
        told = f"--resume: {file.parent} compares something else, see {file.name} in it"
        raise UsageError(f"{told}; type what was typed then, or another --out")
    if before.get("on") != mine["on"]:
        told = f"--resume: {file.parent} was begun on another machine or with other versions, see {file.name} in it"
        raise UsageError(f"{told}; go on there, or type another --out")


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say in one line what stands in the way of writing (UsageError)."""
    try:
        yield
    except OSError as error:
        mend = remedy(error)
        raise UsageError(
            f"cannot write {error.filename or folder}: {error.strerror}; {mend and f'{mend}, or '}type --out with a folder you can write to"
        ) from None


def _until(rounds: int) -> list[int]:
    """How far each start of the ranks goes. With two of them, what memory and cores processes happen to get is in the numbers, too."""
    return [rounds // 2, rounds] if rounds >= 2 * MIN_ROUNDS else [rounds]


def _race(prepared: Prepared, rounds: int, entries: list[Entry], file: Path, directory: RunDirectory, launch: Launch) -> None:
    course = Course(rounds, prepared.asked.warmup, prepared.data, file)
    largest = max((entry.config for entry in entries), key=lambda config: config.launch.ranks)
    with tempfile.TemporaryDirectory(prefix=".cases-", dir=file.parent) as folder:  # which all ranks see
        Trials(directory, Path(folder), launch).start([largest], partial(race, [entry.config for entry in entries], course))


def _machine() -> dict[str, Any]:
    return {key: value for key, value in describe_machine().items() if key != "command"}


def _setting(prepared: Prepared) -> dict[str, Any]:
    config = prepared.config
    return {
        "preset": prepared.asked.preset or PAPER,
        "overrides": tree_without_secrets(list(prepared.asked.overrides)),
        "data": shown(str(prepared.data)) if prepared.data else "drawn from the seed",
        "device": config.launch.device,
        "launcher": config.launch.name,
        "dtype": config.train.numbers,
        "seed": config.train.seed,
        "classes": config.model.classes,
        "model": asdict(config.model),
        "rounds": prepared.asked.rounds,
        "warmup": prepared.asked.warmup,
    }


def _heats(prepared: Prepared) -> dict[str, Any]:
    return {
        str(batch): [{"name": entry.name, "config": {**asdict(entry.config), "observers": {}}} for entry in heat]
        for batch, heat in prepared.heats.items()
    }
