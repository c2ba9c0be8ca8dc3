"""Tables that would give wrong gradients are refused when a strategy is made."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import pytest

from dist_alexnet import registry
from dist_alexnet.config import Config, StrategyConfig, TrainConfig, UsageError
from dist_alexnet.model.layers import Layer
from dist_alexnet.parallel.exchanges.exchange import Exchange
from dist_alexnet.parallel.placement import Owner, Placement, Shard
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.parallel.world import World

IDLE = [
    ("one_weird_trick", {"fc_batch": True}, 2, 1, "fc_batch updates after every turn, and a step on 2 .* scheme=a has one"),
    ("one_weird_trick", {"fc_batch": True, "scheme": "b"}, 1, 1, "a step on 1 rank.* scheme=b has one; type"),
    ("one_weird_trick", {"fc_batch": True, "scheme": "b"}, 2, 1, None),
    ("one_weird_trick", {"fc_batch": True}, 2, 2, None),  # a turn for each microbatch
    ("pipeline", {"microbatches": 4}, 2, 3, "train.accumulation=3 and strategy.options.microbatches=4 both say"),
    ("pipeline", {"microbatches": 4}, 2, 1, None),
    ("pipeline", {}, 2, 3, None),
]
JOINED = {"conv3", "fc6", "fc7", "fc8"}


def tables(
    *, split: set[str] | None = None, joined: set[str] = JOINED, axis: str = "tower", over: str = "tower", place: Placement | None = None
) -> Strategy:
    """A strategy over two ranks that splits these layers (None: all) over an axis and joins the inputs of those over another."""

    class Faulty(Strategy):
        name = "faulty"

        @classmethod
        def axes(cls, config: Config, world_size: int) -> Mapping[str, int]:
            return {"tower": world_size}

        def placement(self, layer: Layer) -> Mapping[str, Placement]:
            return {axis: place or Shard(0)} if split is None or layer.name in split else {}

        def exchange(self, layer: Layer) -> Exchange | None:
            return Exchange(over) if layer.name in joined else None

    return Faulty(Config(), World(0, 2))


@pytest.mark.parametrize(("strategy", "options", "ranks", "accumulation", "message"), IDLE)
def test_an_option_that_would_do_nothing_is_refused(
    strategy: str, options: dict[str, object], ranks: int, accumulation: int, message: str | None
) -> None:
    config = Config(train=TrainConfig(accumulation=accumulation), strategy=StrategyConfig(strategy, options))
    with pytest.raises(UsageError, match=message) if message else nullcontext():
        registry.load(registry.STRATEGIES, strategy)(config, World(0, ranks))


def test_the_tables_of_2012_are_sound() -> None:
    assert tables().mesh == {"tower": 2}


@pytest.mark.parametrize("forgotten", sorted(JOINED))
def test_a_forgotten_exchange(forgotten: str) -> None:
    with pytest.raises(ValueError, match=rf"{forgotten} reads all channels of .*; give it Exchange\('tower'\)"):
        tables(joined=JOINED - {forgotten})


@pytest.mark.parametrize(
    ("faulty", "message"),
    [
        ({"axis": "towr"}, r"conv1: placement names the axis 'towr', but the axes of the mesh are: tower=2; did you mean 'tower'\?"),
        ({"over": "data"}, r"conv3: Exchange is over the axis 'data', but the axes of the mesh are: tower=2$"),
        ({"place": Owner(2)}, r"conv1: placement names Owner\(coordinate=2\) on tower, which has 2 coordinates; nobody would hold it"),
    ],
)
def test_an_axis_or_a_coordinate_that_there_is_not(faulty: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tables(**faulty)


def test_an_exchange_of_what_everybody_has() -> None:
    with pytest.raises(ValueError, match=r"fc6: Exchange\('tower'\) has nothing to join, conv5 is replicated"):
        tables(split={"fc6", "fc7", "fc8"}, joined={"fc6", "fc7", "fc8"})


def test_a_split_layer_behind_a_replicated_one() -> None:
    with pytest.raises(ValueError, match="fc6 is split over tower and conv5 is not: each rank would have a part of the gradient"):
        tables(split={"fc6", "fc7", "fc8"}, joined={"fc7", "fc8"})


def test_a_replicated_layer_behind_an_exchange() -> None:
    with pytest.raises(ValueError, match="the gradient would come out 2 times too large; shard it too"):
        tables(split={"conv1", "conv2"}, joined={"conv3"})
