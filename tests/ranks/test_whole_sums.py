"""Sums over whole tensors whose rows lie as each strategy lays them: those of the one-process run, and their bytes are counted."""

from dataclasses import dataclass
from functools import cache

import pytest
import torch
from torch import Tensor

from dist_alexnet import registry
from dist_alexnet.config import Config
from dist_alexnet.launch.rank import connect_strategy
from dist_alexnet.model.layers import parameter_shapes
from dist_alexnet.model.network import Network
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.parallel.whole_sums import WholeSums
from dist_alexnet.parallel.world import World
from dist_alexnet.testing.conformance import TINY, configure, refusal
from dist_alexnet.testing.ranks import run_on_ranks
from dist_alexnet.update.rule import Sums

WORLD_SIZES = (1, 2, 3, 4)
MORE = {4: [("one_weird_trick", {"fc_ranks": 2})]}


@dataclass(frozen=True)
class Found:
    """What one rank found."""

    sums: dict[str, list[float]]
    counted: dict[str, dict[str, float]]
    predicted: list[tuple[str, tuple[str, ...], float]]


def numbers(name: str, parameter: Tensor) -> Tensor:
    """The squares of a weight and of something else, a number each."""
    return torch.stack([parameter.detach().square().sum(), parameter.detach().cos().sum()])


def squared_norms(sums: Sums, parameters: dict[str, Tensor]) -> dict[str, float]:
    """As a rule uses it that wants weights alone."""
    weights = {name: numbers(name, tensor) for name, tensor in parameters.items() if name.endswith("weight")}
    return {name: float(both[0]) for name, both in sums(weights).items()}


def cases(ranks: int) -> list[Config]:
    """Every variant of every strategy that serves this many ranks."""
    strategies = [registry.load(registry.STRATEGIES, name) for name in registry.names(registry.STRATEGIES)]
    named = [(strategy.name, options) for strategy in strategies for options in strategy.variants] + MORE.get(ranks, [])
    configs = [configure(name, options, model=TINY) for name, options in named]
    return [config for config in configs if not refusal(config, ranks)]


def share(strategy: Strategy) -> dict[str, Tensor]:
    network = strategy.build()
    strategy.parallelize(network)
    return dict(strategy.updated(network))


def measure(world: World, configs: list[Config]) -> list[Found]:
    found = []
    for config in configs:
        strategy = connect_strategy(config, world)
        parameters = share(strategy)
        strategy.traffic.clear()
        sums = WholeSums(strategy, numbers=2)
        values = sums({name: numbers(name, parameter) for name, parameter in parameters.items()})
        counted = strategy.traffic.as_dict()
        norms = squared_norms(sums, parameters)
        assert all(norms[name] == float(values[name][0]) for name in norms), "what is left out changes nothing"
        predicted = [(each.kind, each.axes, float(each.sent)) for each in sums.collectives()]
        found.append(Found({name: value.tolist() for name, value in values.items()}, counted, predicted))
    return found


@cache
def whole() -> dict[str, list[float]]:
    network: Network = connect_strategy(configure("single", model=TINY), World()).build()
    return {name: numbers(name, parameter).tolist() for name, parameter in network.named_parameters()}


@pytest.mark.parametrize("ranks", WORLD_SIZES)
def test_sums_are_those_of_whole_tensors(ranks: int) -> None:
    configs = cases(ranks)
    by_rank = run_on_ranks(ranks, measure, configs)
    for number, config in enumerate(configs):
        of_case, seen = [found[number] for found in by_rank], set()
        for found in of_case:
            for name, sums in found.sums.items():
                assert sums == pytest.approx(whole()[name], rel=1e-12), (config.strategy, name)
                assert sums == next(other.sums[name] for other in of_case if name in other.sums), "the same bits on all ranks"
                seen.add(name)
            sent = sum(message[2] for message in found.predicted)
            assert found.counted.get("sums", {}) == ({"backward": sent} if sent else {}), config.strategy
            assert set(found.counted) <= {"sums"}
        assert seen == set(whole())


def predicted(strategy: str, ranks: int, **options: object) -> list[tuple[str, tuple[str, ...], float]]:
    one = registry.load(registry.STRATEGIES, strategy)(configure(strategy, options, model=TINY), World(0, ranks))
    return [(each.kind, each.axes, float(each.sent)) for each in WholeSums(one).collectives()]


def test_one_message_over_the_axis_that_cuts_and_none_where_nothing_is_cut() -> None:
    """16 numbers of 8 bytes; all-reduced over R ranks each sends 2 (R-1)/R of them."""
    parameters = len(parameter_shapes(registry.load(registry.STRATEGIES, "ddp")(configure("ddp", model=TINY), World(0, 2)).layers))
    assert parameters == 16
    assert predicted("single", 1) == predicted("ddp", 4) == predicted("pipeline", 4) == []
    assert predicted("ddp", 4, shard_optimizer=True) == predicted("fsdp", 4) == [("all-reduce", ("data",), 16 * 8 * 1.5)]
    assert predicted("channel_split", 2) == predicted("hybrid", 4) == [("all-reduce", ("tower",), 16 * 8)]
    assert predicted("channel_split", 2, fc8="first") == [("all-reduce", ("tower",), 14 * 8)], "fc8 is whole on the first rank"
    assert predicted("one_weird_trick", 4, fc_ranks=2) == [("all-reduce", ("model",), 6 * 8)]


def test_what_cannot_be_summed_is_refused() -> None:
    sums = WholeSums(connect_strategy(configure("single", model=TINY), World()), numbers=2)
    with pytest.raises(ValueError, match=r"conv9.weight: no parameter of that name; there are conv1.weight, conv1.bias"):
        sums({"conv9.weight": torch.zeros(2)})
    with pytest.raises(ValueError, match=r"conv1.weight: needs 2 numbers, got shape \[3\]"):
        sums({"conv1.weight": torch.zeros(3)})
