"""What strategies have in common that put the two towers of 2012 on two ranks; no strategy itself.

A crossing joins both halves of a layer's input on both ranks, and brings the sum of both gradients back to where each half came from.
Which layers cross is a matter of the model (`model.connect`): those that do not keep its towers apart.
"""

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dist_alexnet.config import Config
from dist_alexnet.model.layers import Layer
from dist_alexnet.parallel.exchanges.exchange import Exchange, Wire
from dist_alexnet.parallel.placement import Owner, Placement, Shard
from dist_alexnet.parallel.strategy import Strategy


@dataclass(frozen=True)
class TowerOptions:
    """Options of a strategy that splits towers."""

    fc8: Literal["split", "first"] = "split"  # half of the classes on each of the two ranks | all on the first, as in 2012
    wire: Wire = "full"  # bfloat16 or float16: half the bytes between the towers, and no longer exact; the authors tried float16
    overlap: bool = True  # hide an exchange behind the half of the layer's product whose input is already here


class Towers(Strategy, ABC):
    """The two tables, over an axis `tower` of two ranks; how many such pairs there are is left open."""

    Options = TowerOptions

    def placement(self, layer: Layer) -> Mapping[str, Placement]:
        """Half of the output channels of every layer on each rank of a pair."""
        return {"tower": Owner(0) if self._lies_on_one(layer) else Shard(0)}

    def exchange(self, layer: Layer) -> Exchange | None:
        """The layers that read both towers: conv3 and the fully connected ones, unless model.connect says otherwise."""
        if layer.groups > 1 or layer is self.first:
            return None
        if self._lies_on_one(layer):
            return Exchange("tower", reader=0, wire=self.options.wire)
        return Exchange("tower", wire=self.options.wire, overlap=self.options.overlap)

    def _lies_on_one(self, layer: Layer) -> bool:
        return layer is self.last and self.options.fc8 == "first"


def lack_of_towers(config: Config, puts: str) -> str:
    """Why a model without two towers cannot be split into them; empty if it has them. `puts`: which strategy puts them where."""
    if config.model.towers == 2:
        return ""
    return f"{puts}, but model.towers={config.model.towers}; type model.towers=2, or another --strategy"
