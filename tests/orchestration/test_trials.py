"""Cases in ranks that are started once: one that fails costs no other, and starts the ranks again for those behind it only."""

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dist_alexnet.config import Config, LaunchConfig, TrainConfig
from dist_alexnet.launch.launcher import Launcher
from dist_alexnet.launch.settle import make_launcher
from dist_alexnet.parallel.world import World
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.failure import TrainingFailed
from dist_alexnet.trials.case import Case, with_strategy
from dist_alexnet.trials.run import Trials

FAILS, DIES = 13, 14  # seeds


def ask(world: World, configs: Sequence[Config]) -> Iterator[Any]:
    for config in configs:
        if config.train.seed == FAILS:
            raise ValueError("bad luck")
        if config.train.seed == DIES and world.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        yield [config.train.seed, world.rank, config.launch.threads, os.getppid()]


def case(seed: int, ranks: int, undefined: str = "") -> Case:
    config = Config(train=TrainConfig(seed=seed), launch=LaunchConfig("local", device="cpu", threads=1))
    return Case(with_strategy(config, "ddp", {}, ranks), undefined=undefined)


def test_one_that_fails_costs_no_other(tmp_path: Path) -> None:
    cases = [case(seed, 2) for seed in (1, FAILS, 2, DIES, 3)] + [case(4, 1), case(5, 2, "not today")]
    heard, launches = [], list[int]()

    def launch(config: Config) -> Launcher:
        launches.append(config.launch.ranks)
        return make_launcher(config)

    def done(each: Case, found: list[Any] | None) -> None:
        heard.append((each.config.train.seed, found and [rank[:3] for rank in found]))

    Trials(RunDirectory(tmp_path / "run"), tmp_path, launch).run(cases, ask, done)
    both = {seed: [[seed, rank, 1] for rank in range(2)] for seed in (1, 2, 3)}
    assert heard == [(4, [[4, 0, 1]]), (1, both[1]), (FAILS, None), (2, both[2]), (DIES, None), (3, both[3])]
    assert launches == [1, 2, 2, 2]
    assert [bool(each.error) for each in cases] == [each.config.train.seed in (FAILS, DIES) for each in cases]
    assert "bad luck" in cases[1].error


def test_what_starts_once_says_how_it_failed(tmp_path: Path) -> None:
    trials = Trials(RunDirectory(tmp_path / "run"), tmp_path, make_launcher)
    with pytest.raises(TrainingFailed, match="bad luck"):
        trials.start([replace(case(FAILS, 1).config)], partial(ask))
