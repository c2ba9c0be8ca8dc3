"""Tables that would give wrong gradients are refused when a strategy is planned."""

from collections.abc import Mapping

import pytest

from dist_alexnet.config import Config
from dist_alexnet.model.layers import Layer
from dist_alexnet.parallel.exchange import Exchange
from dist_alexnet.parallel.placement import Placement, Shard
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.parallel.world import World

JOINED = {"conv3", "fc6", "fc7", "fc8"}


def plan(*, split: set[str] | None = None, joined: set[str] = JOINED) -> Strategy:
    """A strategy over two ranks that splits these layers (None: all) and joins the inputs of those."""

    class Faulty(Strategy):
        name = "faulty"

        def axes(self, world_size: int) -> Mapping[str, int]:
            return {"tower": world_size}

        def placement(self, layer: Layer) -> Mapping[str, Placement]:
            return {"tower": Shard(0)} if split is None or layer.name in split else {}

        def exchange(self, layer: Layer) -> Exchange | None:
            return Exchange("tower") if layer.name in joined else None

    return Faulty(Config(), World(0, 2))


def test_the_tables_of_2012_are_sound() -> None:
    assert plan().mesh == {"tower": 2}


@pytest.mark.parametrize("forgotten", sorted(JOINED))
def test_a_forgotten_exchange(forgotten: str) -> None:
    with pytest.raises(ValueError, match=rf"{forgotten} reads all channels of .*; give it Exchange\('tower'\)"):
        plan(joined=JOINED - {forgotten})


def test_an_exchange_of_what_everybody_has() -> None:
    with pytest.raises(ValueError, match=r"fc6: Exchange\('tower'\) has nothing to join, conv5 is replicated"):
        plan(split={"fc6", "fc7", "fc8"}, joined={"fc6", "fc7", "fc8"})


def test_a_split_layer_behind_a_replicated_one() -> None:
    with pytest.raises(ValueError, match="fc6 is split over tower and conv5 is not: each rank would have a part of the gradient"):
        plan(split={"fc6", "fc7", "fc8"}, joined={"fc7", "fc8"})


def test_a_replicated_layer_behind_an_exchange() -> None:
    with pytest.raises(ValueError, match="the gradient would come out 2 times too large; shard it too"):
        plan(split={"conv1", "conv2"}, joined={"conv3"})
