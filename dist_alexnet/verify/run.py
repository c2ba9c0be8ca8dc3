"""Runs the cases: which there are, on the ranks of a launcher, world size by world size."""

import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch.distributed as dist

from dist_alexnet import registry
from dist_alexnet.config import Config, ScheduleConfig, StrategyConfig, UsageError
from dist_alexnet.data.load.loader import Loader
from dist_alexnet.data.sets.open import open_data
from dist_alexnet.json_text import to_exact_json, to_json
from dist_alexnet.launch.driver import execute
from dist_alexnet.launch.launcher import Launcher
from dist_alexnet.launch.rank import connect_strategy, rank_process, settle_threads
from dist_alexnet.model.networks.alexnet import describe
from dist_alexnet.parallel.world import World
from dist_alexnet.resolve import to_yaml
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.failure import TrainingFailed
from dist_alexnet.telemetry.environment import describe_machine, versions
from dist_alexnet.verify.evidence import Evidence, Reference
from dist_alexnet.verify.record import train_steps
from dist_alexnet.verify.verdict import TOLERANCES, Verdict, judge

Launch = Callable[[Config], Launcher]  # the launcher of a configuration

REFERENCE = "single"
STOPPED = 128  # exit codes from here on: somebody stopped us

logger = logging.getLogger(__name__)


@dataclass
class Case:
    """One strategy, with options, on a number of ranks."""

    config: Config
    mesh: Mapping[str, int] = field(default_factory=dict)
    verdict: Verdict | None = None
    undefined: str = ""  # why the strategy does not serve this world size
    error: str = ""  # how it failed

    @property
    def name(self) -> str:
        """As a person would type it."""
        options = ",".join(f"{key}={value}" for key, value in self.config.strategy.options.items())
        return self.config.strategy.name + (f" {options}" if options else "")

    @property
    def ranks(self) -> int:
        """World size."""
        return self.config.launch.ranks


@dataclass(frozen=True)
class Task:
    """What the ranks of one launch do, as each of them receives it."""

    configs: Sequence[Config]
    numbers: Sequence[int]  # of the cases; the reference is -1
    steps: int
    data: Path
    folder: Path


def find_cases(config: Config, strategies: Sequence[str], world_sizes: Sequence[int]) -> list[Case]:
    """Every variant of every strategy on every world size, also where the strategy says no.

    Args:
        config: of the run that is to be equal; the options of its strategy are taken instead of that strategy's variants.
        strategies: names.
        world_sizes: ranks.

    Raises:
        UsageError: no strategy of that name.
    """
    cases = []
    for name in strategies:
        try:
            variants = registry.load(registry.STRATEGIES, name).variants
        except (UsageError, AttributeError) as error:  # one that does not load must not stand in the way of the others
            cases.append(Case(_of(config, name, {}, 1), error=str(error)))
            continue
        typed = config.strategy.options if len(strategies) == 1 else None
        cases += [_plan(_of(config, name, options, ranks)) for options in ([typed] if typed else variants) for ranks in world_sizes]
    return cases


def _of(config: Config, strategy: str, options: Mapping[str, Any], ranks: int) -> Config:
    return replace(config, strategy=StrategyConfig(strategy, dict(options)), launch=replace(config.launch, workers=ranks))


def _plan(config: Config) -> Case:
    case = Case(config)
    try:
        case.mesh = registry.load(registry.STRATEGIES, config.strategy.name)(config, World(0, case.ranks)).mesh
    except UsageError as error:
        case.undefined = str(error)
    except Exception as error:  # tables that cannot work, or a method that fails: the author's, and no reason to stop the others
        case.error = f"{type(error).__name__}: {error}"
    return case


def steps_config(config: Config) -> Config:
    """The configuration of the steps that are compared: a learning rate that changes, whatever the run's own schedule waits for."""
    return replace(config, train=replace(config.train, schedule=ScheduleConfig(name="dexp")))


def run_cases(
    cases: Sequence[Case],
    steps: int,
    data: Path,
    directory: RunDirectory,
    launch: Launch,
    tell: Callable[[Case], None],
) -> None:
    """Run every case that is defined, and fill in its verdict.

    Args:
        cases: from `find_cases`.
        steps: of the optimizer.
        data: folder with train/ and val/.
        directory: for logs, and for what the ranks tell while they run.
        launch: gives the launcher of a configuration.
        tell: is called with each case that is done.

    Raises:
        TrainingFailed: the one-process run itself failed, or somebody stopped us.
    """
    directory.create()
    folder = Path(tempfile.mkdtemp(prefix=".evidence-", dir=directory.path))
    single = _of(replace(cases[0].config, launch=replace(cases[0].config.launch, threads=0)), REFERENCE, {}, 1)
    try:
        _launch(Task([single], [-1], steps, data, folder), directory, launch)
        for ranks in sorted({case.ranks for case in cases}):
            todo = [(n, case) for n, case in enumerate(cases) if case.ranks == ranks and not case.undefined and not case.error]
            _run_world(todo, steps, data, folder, directory, launch, tell)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run_world(
    todo: list[tuple[int, Case]],
    steps: int,
    data: Path,
    folder: Path,
    directory: RunDirectory,
    launch: Launch,
    tell: Callable[[Case], None],
) -> None:
    """All cases of a world size in one launch; after a failure the others in another one."""
    while todo:
        error: TrainingFailed | None = None
        try:
            _launch(Task([case.config for _, case in todo], [number for number, _ in todo], steps, data, folder), directory, launch)
        except TrainingFailed as failure:
            if failure.exit_code > STOPPED:
                raise
            error = failure
        while todo:
            number, case = todo.pop(0)
            evidence = _read(folder, number, case.ranks)
            if evidence is None:
                case.error = str(error or "a rank left no evidence")
                tell(case)
                break
            units = {layer.index: layer.out_channels for layer in describe(case.config.model) if layer.dropout}
            case.verdict = judge(evidence, units, case.config.train.global_batch, TOLERANCES[case.config.train.dtype])
            tell(case)


def verify_rank(task: Task, directory: RunDirectory) -> None:
    """One rank's part in the cases of a launch; leaves its evidence, or the reference, in the folder of the task."""
    with rank_process(task.configs[0], directory) as world:
        reference = Reference.load(task.folder) if task.numbers[0] >= 0 else None
        for number, config in zip(task.numbers, task.configs, strict=True):
            config = settle_threads(config, world)
            strategy = connect_strategy(config, world)
            images, _ = open_data(task.data)
            loader = Loader(images, config.data, config.model.image_size, world.device, config.train.seed)
            batch = config.train.global_batch
            with closing(loader.train_batches(batch, strategy.rows(batch), 0)) as batches:
                record = train_steps(strategy, batches, task.steps)
            if reference is None:
                Reference.of(record).save(task.folder)
            else:
                content = to_exact_json(Evidence.of(record, reference).as_dict())
                _evidence_file(task.folder, number, world.rank).write_text(content)
            if world.world_size > 1:
                dist.barrier()
        if world.rank == 0:
            directory.finish({"status": "completed"})


def _launch(task: Task, directory: RunDirectory, launch: Launch) -> None:
    launcher = launch(task.configs[0])
    launcher.validate()
    directory.create()
    directory.begin(to_yaml(task.configs[0]), to_json({"versions": versions(), **describe_machine()}, indent=2))
    execute(partial(verify_rank, task, directory), directory, launcher, lambda record: None, logger.warning, saves=False)


def _read(folder: Path, number: int, ranks: int) -> list[Evidence] | None:
    try:
        return [Evidence.from_dict(json.loads(_evidence_file(folder, number, rank).read_text())) for rank in range(ranks)]
    except (OSError, ValueError):
        return None


def _evidence_file(folder: Path, number: int, rank: int) -> Path:
    return folder / f"case-{number}.rank-{rank}.json"
