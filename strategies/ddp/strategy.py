"""Data parallelism: every rank holds the whole network and some rows of the batch; gradients are summed.

What crosses is the gradient, 243.9 MB for the network of 2012 however small the batch is: 96 % of it belongs to the fully connected layers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import nn

from dist_alexnet.config import Config, check_positive
from dist_alexnet.model.layers import Layer
from dist_alexnet.model.network import Network
from dist_alexnet.parallel.exchanges.exchange import Wire
from dist_alexnet.parallel.exchanges.gradients import BUCKET_MIB
from dist_alexnet.parallel.exchanges.traffic import Collective
from dist_alexnet.parallel.placement import Placement, Shard, interval, length
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.update.optimizer import VelocitySGD
from strategies.ddp.sharded_update import ShardedUpdate


@dataclass(frozen=True)
class DdpOptions:
    """Options of `ddp`."""

    bucket_mib: float = BUCKET_MIB  # gradients that travel in one message, in MiB; smaller ones start earlier, larger ones cost less each
    gradient_wire: Wire = "full"  # bfloat16 or float16: half the bytes, and no longer exact
    shard_optimizer: bool = False  # each rank keeps the momentum of a part of every tensor, updates it and tells the others

    def __post_init__(self) -> None:
        check_positive("strategy.options", self, "bucket_mib")


class Ddp(Strategy):
    """Rows split over `data`, weights replicated, gradients all-reduced in buckets while the backward pass still runs."""

    name = "ddp"
    Options = DdpOptions
    variants = ({}, {"shard_optimizer": True})
    _sharded: ShardedUpdate | None = None

    @classmethod
    def axes(cls, config: Config, world_size: int) -> Mapping[str, int]:
        """One axis; any number of ranks."""
        return {"data": world_size}

    @property
    def gradient_wire(self) -> Wire:
        """As the options say."""
        wire: Wire = self.options.gradient_wire
        return wire

    @property
    def bucket_mib(self) -> float:
        """As the options say."""
        mib: float = self.options.bucket_mib
        return mib

    def momentum(self, layer: Layer) -> Mapping[str, Placement]:
        """With the weights, or in parts."""
        return {"data": Shard(0)} if self.options.shard_optimizer else {}

    def updated(self, network: Network) -> dict[str, nn.Parameter]:
        """All parameters, or this rank's part of each."""
        if self.world.world_size == 1 or not self.options.shard_optimizer:
            return super().updated(network)
        self._sharded = ShardedUpdate(network, self.channel("data"))
        return self._sharded.own

    def update(self, net: nn.Module, optimizer: VelocitySGD, lr: float) -> None:
        """Of all parameters, or of this rank's part and then of the others'."""
        if not self._sharded:
            super().update(net, optimizer, lr)
            return
        self._sharded.take_gradients()
        optimizer.step_at(lr)
        self._sharded.gather()

    def collectives(self, global_batch: int) -> Iterator[Collective]:
        """The gradients, and new weights where their update is shared out."""
        yield from super().collectives(global_batch)
        if self.options.shard_optimizer and self.world.world_size > 1:
            rows = [(layer, interval(layer.out_channels, self.momentum(layer), self.mesh, self.coordinate)) for layer in self.layers]
            own = sum(layer.parameters // layer.out_channels * length(part) for layer, part in rows) * self.precision.parameter.itemsize
            yield Collective("weights", "all-gather", "forward", ("data",), own * (self.world.world_size - 1))
