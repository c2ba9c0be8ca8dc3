"""Pairs of GPUs as in 2012, and data parallelism over the pairs.

    ranks 0 1 | 2 3 | ...     each pair splits the channels of every layer and has its own rows of the batch
          a b   a b           ranks with the same tower hold the same weights, and sum their gradients while the backward pass still runs

Half of the gradients of `ddp` cross between the pairs, and the activations of `channel_split` within them: by volume that is less than
ddp as long as a pair has fewer than about 1,000 images.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import nn

from dist_alexnet.config import UsageError, check_positive
from dist_alexnet.model.layers import Layer
from dist_alexnet.model.network import Network
from dist_alexnet.parallel.exchanges.exchange import Exchange, Wire
from dist_alexnet.parallel.exchanges.gradients import BUCKET_MIB, DataParallel
from dist_alexnet.parallel.placement import Owner, Placement, Shard
from dist_alexnet.parallel.strategy import Strategy


@dataclass(frozen=True)
class HybridOptions:
    """Options of `hybrid`."""

    fc8: Literal["split", "first"] = "split"  # half of the classes on each rank of a pair | all on its first, as in 2012
    wire: Wire = "full"  # bfloat16 or float16: half the bytes between the towers, and no longer exact; the authors tried float16
    overlap: bool = True  # hide an exchange behind the half of the layer's product whose input is already here
    bucket_mib: float = BUCKET_MIB  # gradients that travel in one message, in MiB

    def __post_init__(self) -> None:
        check_positive("strategy.options", self, "bucket_mib")


class Hybrid(Strategy):
    """Channel-split pairs under data parallelism: a mesh of `data` x `tower`."""

    name = "hybrid"
    default_ranks = 4
    Options = HybridOptions
    variants = ({}, {"fc8": "first"})

    def axes(self, world_size: int) -> Mapping[str, int]:
        """Pairs, neighbours in rank."""
        if world_size % 2:
            raise UsageError(
                f"hybrid needs pairs of ranks, but --gpus is {world_size}; type --gpus {world_size + 1}, "
                f"or --strategy ddp to stay with {world_size}"
            )
        return {"data": world_size // 2, "tower": 2}

    def validate(self) -> None:
        """The model must have two towers, and no pair may span two nodes: it exchanges activations on each step's critical path."""
        if self.config.model.towers != 2:
            raise UsageError(
                f"hybrid puts one tower on each rank of a pair, but model.towers={self.config.model.towers}; "
                "type model.towers=2, or another --strategy"
            )
        if where := self.world.divided_groups(2):
            raise UsageError(
                f"hybrid would spread a pair of ranks (0 and 1, 2 and 3, ...) over two nodes ({where}); put an even number on each"
            )

    def placement(self, layer: Layer) -> Mapping[str, Placement]:
        """Half of the output channels of every layer on each rank of a pair; replicated over the pairs."""
        if layer.name == "fc8" and self.options.fc8 == "first":
            return {"tower": Owner(0)}
        return {"tower": Shard(0)}

    def exchange(self, layer: Layer) -> Exchange | None:
        """The layers that read both towers: conv3 and the fully connected ones, unless model.connect says otherwise."""
        if layer.groups > 1 or layer.name == "conv1":
            return None
        if layer.name == "fc8" and self.options.fc8 == "first":
            return Exchange("tower", reader=0, wire=self.options.wire)
        return Exchange("tower", wire=self.options.wire, overlap=self.options.overlap)

    def parallelize(self, network: Network) -> nn.Module:
        """This rank's towers in torch's DDP, over the ranks with the same tower."""
        if self.mesh["data"] == 1:
            return network
        return DataParallel(network, self.channel("data"), self.options.bucket_mib)
