"""What every strategy must do, ours and anybody's, as tests for pytest:

    from dist_alexnet.testing.conformance import StrategyConformance

    class TestMine(StrategyConformance):
        strategy = "mine"

It trains as one process does, in double, single and mixed precision, with rows that do not divide evenly; sends the bytes that it predicts;
writes checkpoints that `single` reads, and reads those of `single`; and says which world sizes it serves, the others in one clear line.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from dist_alexnet import registry
from dist_alexnet.checkpoints.canonical import canonical_tensors, rows_kept
from dist_alexnet.checkpoints.checkpoint import load_tensors
from dist_alexnet.checkpoints.publish import Kept
from dist_alexnet.checkpoints.saves import Saves
from dist_alexnet.checkpoints.state import TrainingState
from dist_alexnet.checkpoints.tensor_headers import split_name
from dist_alexnet.config import Config, LaunchConfig, ModelConfig, ScheduleConfig, StrategyConfig, TrainConfig, UsageError, Widths
from dist_alexnet.launch.agreement import Agreement
from dist_alexnet.launch.rank import connect_strategy
from dist_alexnet.model.layers import buffer_shapes, own_tensors, parameter_shapes
from dist_alexnet.model.network import Network
from dist_alexnet.model.networks.alexnet import describe
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.parallel.world import World
from dist_alexnet.testing.ranks import TIMEOUT_S, run_on_ranks
from dist_alexnet.update.optimizer import VelocitySGD
from dist_alexnet.verify.evidence import Evidence, Reference
from dist_alexnet.verify.testimony import generated_batches, train_steps
from dist_alexnet.verify.verdict import TOLERANCES, Verdict, judge

STEPS = 5
NARROW = Widths(conv1=8, conv2=12, conv3=16, conv4=16, conv5=12, fc6=20, fc7=24)
SMALL = ModelConfig(image_size=68, classes=7, widths=NARROW, init="fan_in")  # widths that 3 and 8 do not divide; fc6 reads 2x2 maps
TINY = ModelConfig(image_size=36, classes=7, widths=NARROW, init="fan_in")  # for what costs many runs
SAID = range(1, 9)  # world sizes of which a strategy is asked, without starting them
UNEVEN_BATCH = 11  # images per step: no number of ranks but 1 and 11 divides it


def configure(
    strategy: str,
    options: Mapping[str, Any] | None = None,
    *,
    numbers: str = "float64",
    accumulation: int = 1,
    model: ModelConfig = SMALL,
    batch: int = UNEVEN_BATCH,
) -> Config:
    """A run with everything on that could hide a fault: dropout, momentum, decay, and a learning rate that changes."""
    schedule = ScheduleConfig(name="dexp")
    types: dict[str, Any] = {"dtype": numbers} if numbers.startswith("float") else {"precision": numbers}
    train = TrainConfig(global_batch=batch, accumulation=accumulation, seed=3, epochs=1, schedule=schedule, **types)
    return Config(model=model, train=train, strategy=StrategyConfig(strategy, dict(options or {})), launch=LaunchConfig(timeout_s=60))


def variants(strategy: str, ranks: int) -> list[Config]:
    """A configuration for each variant of a strategy that serves this many ranks; none if it does not."""
    configs = [configure(strategy, options) for options in registry.load(registry.STRATEGIES, strategy).variants]
    return [config for config in configs if not refusal(config, ranks)]


def refusal(config: Config, ranks: int) -> str:
    """Why the strategy of a configuration does not serve this many ranks, as it says without being made; empty if it does."""
    reason: str = registry.load(registry.STRATEGIES, config.strategy.name).why_not(config, ranks)
    return reason


def refusal_when_made(config: Config, ranks: int) -> str:
    """The same by making it, on each of the ranks: what the first one says that cannot be made."""
    for rank in range(ranks):
        try:
            registry.load(registry.STRATEGIES, config.strategy.name)(config, World(rank, ranks))
        except UsageError as error:
            return str(error)
    return ""


@cache
def reference(numbers: str = "float64", model: ModelConfig = SMALL, batch: int = UNEVEN_BATCH) -> Reference:
    """The one-process run."""
    strategy = connect_strategy(configure("single", numbers=numbers, model=model, batch=batch), World())
    return Reference.of(train_steps(strategy, generated_batches(strategy.config, strategy), STEPS))


def compare(world: World, configs: Sequence[Config], references: Mapping[str, Reference]) -> list[Evidence]:
    """Train under each configuration and compare; every rank of the world calls it, with the references by precision."""
    evidence = []
    for config in configs:
        strategy = connect_strategy(config, world)
        record = train_steps(strategy, generated_batches(config, strategy), STEPS)
        evidence.append(Evidence.of(record, references[config.train.numbers]))
    return evidence


def verdicts(ranks: int, configs: Sequence[Config]) -> list[Verdict]:
    """What became of each configuration on this many ranks. They must have model and batch in common."""
    if not configs:
        return []
    model, batch = configs[0].model, configs[0].train.global_batch
    references = {numbers: reference(numbers, model, batch) for numbers in {config.train.numbers for config in configs}}
    by_rank = run_on_ranks(ranks, compare, configs, references)
    units = {layer.index: layer.out_channels for layer in describe(model) if layer.dropout}
    return [
        judge([evidence[i] for evidence in by_rank], units, batch, TOLERANCES[config.train.numbers]) for i, config in enumerate(configs)
    ]


def save_checkpoints(world: World, folder: Path, configs: Mapping[str, Config]) -> None:
    """Write a checkpoint under each configuration, with tensors that `expected_tensor` knows; every rank of the world calls it."""
    for name, config in configs.items():
        strategy = connect_strategy(config, world)
        network, optimizer = _share(strategy)
        _evaluate_one_image(strategy, network)
        for tensor_name, tensor in canonical_tensors(strategy, network, optimizer).items():
            tensor.copy_(_expected(tensor_name, tensor, strategy))
        state = TrainingState(7, 0, 0, optimizer.scalars(), {}, {}, {}, [], "")
        save(folder / name, strategy, network, optimizer, state)


def save(folder: Path, strategy: Strategy, network: Network, optimizer: VelocitySGD, state: TrainingState) -> None:
    """Write one checkpoint to `folder`; every rank of the world calls it."""
    saves = Saves(folder, strategy, network, optimizer, Agreement(strategy.world, TIMEOUT_S), Kept())
    saves.begin(state)
    if failure := saves.wait():
        raise AssertionError(failure)


def wrong_tensors(world: World, folders: Sequence[Path], configs: Sequence[Config]) -> list[str]:
    """Load every checkpoint under every configuration; what does not come back bit by bit. Every rank of the world calls it."""
    wrong = []
    for config in configs:
        strategy = connect_strategy(config, world)  # once: its process groups take longer than a load
        for folder in folders:
            network, optimizer = _share(strategy)
            load_tensors(folder, strategy, network, optimizer)
            for name, tensor in canonical_tensors(strategy, network, optimizer).items():
                if not torch.equal(tensor, _expected(name, tensor, strategy)):
                    wrong.append(f"{name} of {folder.parent.name} under {config.strategy} on {world}")
    return wrong


def _share(strategy: Strategy) -> tuple[Network, VelocitySGD]:
    network = strategy.build()
    strategy.parallelize(network)
    return network, VelocitySGD(strategy.updated(network), strategy.config.train, own_tensors(strategy.layers))


def _evaluate_one_image(strategy: Strategy, network: Network) -> None:
    """Before a checkpoint comes a validation, in whose last batch some ranks may have nothing."""
    rows, size = strategy.rows(1), strategy.config.model.image_size
    images = torch.zeros(1, 3, size, size, dtype=network.precision.activation)[rows].contiguous(memory_format=torch.channels_last)
    network.eval()
    with torch.no_grad():
        scores = strategy.predict(network, images)
    network.train()
    if strategy.speaks_for_its_rows:
        assert scores.shape == (len(images), strategy.layers[-1].out_channels)


def _expected(name: str, tensor: torch.Tensor, strategy: Strategy) -> torch.Tensor:
    """The numbers of a canonical tensor, drawn whole from its name, and of these the rows that a rank keeps."""
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    whole = torch.randn(_whole_shape(name, strategy), generator=generator, dtype=tensor.dtype)
    return whole[rows_kept(strategy, name)]


def _whole_shape(name: str, strategy: Strategy) -> tuple[int, ...]:
    _, layer, tensor = split_name(name)
    return (parameter_shapes(strategy.layers) | buffer_shapes(strategy.layers))[f"{layer}.{tensor}"]


class StrategyConformance:
    """Tests of one strategy. Subclass it under a name that pytest collects, and say which strategy."""

    strategy: ClassVar[str]
    world_sizes: ClassVar[Sequence[int]] = (1, 2, 3, 4)

    def test_it_serves_a_world_size(self) -> None:
        """At least one of those that are tried."""
        assert any(variants(self.strategy, ranks) for ranks in self.world_sizes)

    def test_it_trains_as_one_process_does(self) -> None:
        """Losses, weights, momentum, masks, images and bytes."""
        for ranks in self.world_sizes:
            configs = [_in(config, numbers) for config in variants(self.strategy, ranks) for numbers in TOLERANCES]
            for config, verdict in zip(configs, verdicts(ranks, configs), strict=True):
                assert verdict.passed, f"{config.strategy} on {ranks} ranks in {config.train.numbers}: {'; '.join(verdict.faults)}"

    def test_its_checkpoints_are_canonical(self, tmp_path: Path) -> None:
        """They go to `single` and come from it."""
        single = {"single": configure("single", model=TINY)}
        run_on_ranks(1, save_checkpoints, tmp_path, single)
        for ranks in self.world_sizes:
            configs = [_with_model(config, TINY) for config in variants(self.strategy, ranks)]
            named = {f"{ranks}-{number}": config for number, config in enumerate(configs)}
            folders = [tmp_path / name / "step-00000007" for name in named]
            if configs:
                run_on_ranks(ranks, save_checkpoints, tmp_path, named)
                assert not any(run_on_ranks(ranks, wrong_tensors, [tmp_path / "single" / "step-00000007"], configs))
                assert run_on_ranks(1, wrong_tensors, folders, list(single.values())) == [[]]

    def test_it_says_which_world_sizes_it_serves(self) -> None:
        """What it says of a number of ranks is what becomes of them, and where nobody says how many there are, it serves those."""
        strategy = registry.load(registry.STRATEGIES, self.strategy)
        for config in (configure(self.strategy, options) for options in strategy.variants):
            assert {ranks: refusal(config, ranks) for ranks in SAID} == {ranks: refusal_when_made(config, ranks) for ranks in SAID}
            assert refusal(config, strategy.ranks_of(config)) == ""

    def test_it_refuses_clearly(self) -> None:
        """A world size that it cannot serve gets a line that says how many there are and what to type."""
        refusals = {ranks: message for ranks in self.world_sizes if (message := refusal(configure(self.strategy), ranks))}
        if not refusals:
            pytest.skip(f"{self.strategy} serves all of {', '.join(map(str, self.world_sizes))} ranks")
        for ranks, message in refusals.items():
            assert re.search(rf"\b{ranks}\b.*type ", message), message


def _in(config: Config, numbers: str) -> Config:
    return configure(config.strategy.name, config.strategy.options, numbers=numbers)


def _with_model(config: Config, model: ModelConfig) -> Config:
    return configure(config.strategy.name, config.strategy.options, model=model)
