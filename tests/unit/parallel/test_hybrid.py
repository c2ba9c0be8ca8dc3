"""Pairs of ranks, and where they may lie."""

import pytest

from dist_alexnet import registry
from dist_alexnet.config import Config, StrategyConfig, UsageError
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.parallel.world import World


def hybrid(world_size: int, nodes: tuple[str, ...] = ()) -> Strategy:
    config = Config(strategy=StrategyConfig("hybrid"))
    made: Strategy = registry.load(registry.STRATEGIES, "hybrid")(config, World(0, world_size, nodes=nodes))
    return made


def test_an_odd_number_of_ranks_is_refused() -> None:
    with pytest.raises(UsageError, match="hybrid needs pairs of ranks, but --gpus is 3; type --gpus 4, or --strategy ddp to stay with 3"):
        hybrid(3)


def test_a_pair_never_spans_two_nodes() -> None:
    assert hybrid(4, ("a", "a", "b", "b")).mesh == {"data": 2, "tower": 2}
    with pytest.raises(UsageError, match=r"over two nodes \(0: a, 1: a, 2: a, 3: b\); put an even number on each"):
        hybrid(4, ("a", "a", "a", "b"))


def test_by_volume_it_beats_ddp_below_a_thousand_images_per_pair() -> None:
    """DDP minus hybrid is the whole gradient less the pair's activations, for any number of pairs (sent per rank)."""

    def sent(strategy: str, batch: int) -> float:
        made = registry.load(registry.STRATEGIES, strategy)(Config(strategy=StrategyConfig(strategy)), World(0, 8))
        return float(made.predict_traffic(batch).total())

    assert sent("hybrid", 4 * 990) < sent("ddp", 4 * 990)
    assert sent("hybrid", 4 * 1010) > sent("ddp", 4 * 1010)
