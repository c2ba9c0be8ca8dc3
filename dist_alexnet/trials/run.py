"""Runs cases on the ranks of a launcher, world size by world size: one start for all of a size, another one after a failure."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch.distributed as dist

from dist_alexnet.config import Config
from dist_alexnet.json_text import to_exact_json, to_json
from dist_alexnet.launch.driver.driver import execute
from dist_alexnet.launch.launcher import Launcher
from dist_alexnet.launch.rank import rank_process
from dist_alexnet.parallel.world import World
from dist_alexnet.resolve import to_yaml
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.failure import TrainingFailed
from dist_alexnet.telemetry.environment import describe_machine, versions
from dist_alexnet.trials.case import Case, Kind

Launch = Callable[[Config], Launcher]  # the launcher of a configuration
# What every rank does with the cases of a launch, in their order: side by side or in turn. It gives what this rank has found of each, which
# JSON can say; a case of which nothing came is done again without those before it. Picklable.
Trial = Callable[[World, Sequence[Config]], Iterator[Any]]

STOPPED = 128  # exit codes from here on: somebody stopped us

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trials:
    """Where and how cases are run.

    Args:
        directory: for logs.
        folder: in it, for what the ranks have found; all of them see it.
        launch: gives the launcher of a configuration.
    """

    directory: RunDirectory
    folder: Path
    launch: Launch

    def run(self, cases: Sequence[Kind], trial: Trial, done: Callable[[Kind, list[Any] | None], None]) -> None:
        """Run every case that is defined.

        Args:
            cases: from `find_cases`; of one that fails `error` is filled in.
            trial: what ranks do.
            done: hears of each case that is over, with what its ranks have found, by rank; None: it has failed.

        Raises:
            TrainingFailed: somebody stopped us.
        """
        for ranks in sorted({case.ranks for case in cases}):
            todo = [case for case in cases if case.ranks == ranks and not case.undefined and not case.error]
            while todo:
                todo = self._run_some(todo, trial, done)

    def start(self, configs: Sequence[Config], trial: Trial) -> None:
        """Start the ranks once, as many as the first of these configurations has, and no other has more.

        Raises:
            TrainingFailed: a rank failed, or somebody stopped us.
        """
        launcher = self.launch(configs[0])
        launcher.validate()
        self.directory.create()
        self.directory.begin(to_yaml(configs[0], secrets=False), to_json({"versions": versions(), **describe_machine()}, indent=2))
        execute(partial(try_on_rank, configs, trial, self.directory, self.folder), self.directory, launcher, logger.warning, saves=False)

    def _run_some(self, todo: list[Kind], trial: Trial, done: Callable[[Kind, list[Any] | None], None]) -> list[Kind]:
        """In one launch; returns those that are left after a failure."""
        for file in self.folder.glob(_file(Path(), "*", "*").name):
            file.unlink()
        error: TrainingFailed | None = None
        try:
            self.start([case.config for case in todo], trial)
        except TrainingFailed as failure:
            if failure.exit_code > STOPPED:
                raise
            error = failure
        for number, case in enumerate(todo):
            found = self._found(number, case)
            if found is None:
                case.error = str(error or "a rank left no evidence")
            done(case, found)
            if found is None:
                return todo[number + 1 :]
        return []

    def _found(self, number: int, case: Case) -> list[Any] | None:
        try:
            return [json.loads(_file(self.folder, number, rank).read_text()) for rank in range(case.ranks)]
        except (OSError, ValueError):
            return None


def try_on_rank(configs: Sequence[Config], trial: Trial, directory: RunDirectory, folder: Path) -> None:
    """One rank's part in the cases of a launch; leaves what it has found of each as soon as it is known."""
    with rank_process(configs[0], directory) as world:
        for number, found in enumerate(trial(world, configs)):
            _file(folder, number, world.rank).write_text(to_exact_json(found))
            if world.world_size > 1:
                dist.barrier()
        if world.rank == 0:
            directory.finish({"status": "completed"})


def _file(folder: Path, number: int | str, rank: int | str) -> Path:
    return folder / f"case-{number}.rank-{rank}.json"
