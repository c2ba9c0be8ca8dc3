"""Runs the cases of a certificate: the one-process run first, then everything that is compared with it."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from dist_alexnet.config import Config, ScheduleConfig
from dist_alexnet.data.load.loader import Loader
from dist_alexnet.data.sets.open import open_data
from dist_alexnet.launch.rank import connect_strategy, settle_threads
from dist_alexnet.model.networks.alexnet import describe
from dist_alexnet.parallel.world import World
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.trials import case as trials
from dist_alexnet.trials.run import Launch, Trials
from dist_alexnet.verify.evidence import Evidence, Reference
from dist_alexnet.verify.testimony import Testimony, generated_batches, train_steps
from dist_alexnet.verify.verdict import TOLERANCES, Tolerance, Verdict, judge

REFERENCE = "single"


@dataclass
class Case(trials.Case):
    """One that is compared with one process."""

    verdict: Verdict | None = None
    tolerance: Tolerance | None = None  # None: that of the type it computes in


def steps_config(config: Config) -> Config:
    """The configuration of the steps that are compared: a learning rate that changes, whatever the run's own schedule waits for."""
    return replace(config, train=replace(config.train, schedule=ScheduleConfig(name="dexp")))


def run_cases(
    cases: Sequence[Case],
    steps: int,
    data: Path | None,
    directory: RunDirectory,
    launch: Launch,
    tell: Callable[[Case], None],
) -> None:
    """Run every case that is defined, and fill in its verdict.

    Args:
        cases: from `find_cases`.
        steps: of the optimizer.
        data: folder with train/ and val/; None: images are drawn from the seed.
        directory: for logs, and for what the ranks tell while they run.
        launch: gives the launcher of a configuration.
        tell: is called with each case that is done.

    Raises:
        TrainingFailed: the one-process run itself failed, or somebody stopped us.
    """
    directory.create()
    folder = Path(tempfile.mkdtemp(prefix=".evidence-", dir=directory.path))
    unthreaded = replace(cases[0].config, launch=replace(cases[0].config.launch, threads=0))
    running = Trials(directory, folder, launch)
    try:
        running.start([trials.with_strategy(unthreaded, REFERENCE, {}, 1)], partial(leave_reference, data, steps, folder))
        running.run(cases, partial(compare_with_reference, data, steps, folder), partial(_judge, tell))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def leave_reference(data: Path | None, steps: int, folder: Path, world: World, configs: Sequence[Config]) -> Iterator[Any]:
    """The one-process run, for those that follow."""
    for config in configs:
        Reference.of(_train(config, world, data, steps)).save(folder)
        yield None


def compare_with_reference(data: Path | None, steps: int, folder: Path, world: World, configs: Sequence[Config]) -> Iterator[Any]:
    """One rank's evidence of each case, in turn."""
    reference = Reference.load(folder)
    for config in configs:
        yield Evidence.of(_train(config, world, data, steps), reference).as_dict()


def _train(config: Config, world: World, data: Path | None, steps: int) -> Testimony:
    strategy = connect_strategy(settle_threads(config, world), world)
    if data is None:
        return train_steps(strategy, generated_batches(config, strategy), steps)
    images, _ = open_data(data)
    loader = Loader(images, config.data, config.model.image_size, world.device, config.train.seed)
    batch = config.train.global_batch
    with closing(loader.train_batches(batch, strategy.rows(batch), 0)) as batches:
        return train_steps(strategy, batches, steps)


def _judge(tell: Callable[[Case], None], case: Case, found: list[Any] | None) -> None:
    if found is not None:
        train = case.config.train
        units = {layer.index: layer.out_channels for layer in describe(case.config.model) if layer.dropout}
        tolerance = case.tolerance or TOLERANCES[train.numbers]
        case.verdict = judge([Evidence.from_dict(each) for each in found], units, train.global_batch, tolerance)
    tell(case)
