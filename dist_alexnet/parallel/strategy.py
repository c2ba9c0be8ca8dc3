"""The contract of a strategy: one optimizer step of the network, spread over ranks.

A strategy is two tables and, where that is not enough, a step of its own:

1. `axes`       which ranks there are, as a named mesh: {"data": N}, {"tower": 2}, {"data": N / 2, "tower": 2}, ...
2. `placement`  for each layer and mesh axis: `Replicate()`, `Shard(0)` or `Owner(k)` of its output channels.
3. `exchange`   for each layer: what happens to its input first. `None`, or `Exchange(axis)`: all channels from all ranks of an axis.

From these follow what each rank computes, what it saves in a checkpoint, what `explain` prints and how many bytes will be sent; so a
strategy that keeps to them needs no other method. The rows of a batch are split over the axis called "data", if there is one, and over no
other; a layer that is replicated over "data" has its gradient summed there (`parallelize` does it).

The smallest useful strategy is the one of 2012, in full:

    class ChannelSplit(Strategy):
        name = "channel_split"

        @classmethod
        def axes(cls, world_size): return {"tower": world_size}

        def placement(self, layer): return {"tower": Shard(0)}

        def exchange(self, layer): return Exchange("tower") if layer.name in ("conv3", "fc6", "fc7", "fc8") else None

A split layer must read a split input, joined by an `Exchange` or, where its groups allow it, its own part alone: `checks.py` refuses what
would leave a rank with a part of a gradient. Register the class as an entry point of the group `dist_alexnet.strategies`, under its `name`;
`--strategy` then lists it. Everything up to `connect` is pure: it runs without processes, for any rank of any world.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.nn import functional

from dist_alexnet.config import Config
from dist_alexnet.data.batch import Batch
from dist_alexnet.model.layers import Layer, describe
from dist_alexnet.model.network import Draw, Network, Share
from dist_alexnet.parallel.checks import check_batch, check_tables
from dist_alexnet.parallel.exchange import Channel, Exchange, gather_shards
from dist_alexnet.parallel.gradients import DataParallel
from dist_alexnet.parallel.loss import STATISTICS, sharded_cross_entropy
from dist_alexnet.parallel.placement import Placement, Replicate, Shard, interval
from dist_alexnet.parallel.traffic import Traffic, all_reduce_bytes
from dist_alexnet.parallel.world import World, coordinates, mesh_size, split_rows
from dist_alexnet.resolve import parse_options
from dist_alexnet.telemetry.clock import Clock

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class NoOptions:
    """For a strategy without options of its own."""


class Strategy(ABC):
    """One optimizer step of the network spread over ranks. See the module docstring for what a subclass must say."""

    name: ClassVar[str]  # = file name = entry point = config value = metric label
    default_ranks: ClassVar[int] = 2  # where nobody says how many
    Options: ClassVar[type] = NoOptions  # frozen dataclass: the fields of `strategy.options`, so that typos fail

    # ------------------------------------------------------------------ what a strategy says about itself

    @classmethod
    @abstractmethod
    def axes(cls, world_size: int) -> Mapping[str, int]:
        """Mesh of a world: axis -> coordinates, outermost first; their product is the world size.

        Raises:
            UsageError: the strategy cannot serve this many ranks; says which it can, and what to use instead.
        """

    def validate(self) -> None:
        """Refuse what the strategy cannot do with `self.config`, before a process or a GPU is asked for (UsageError)."""

    def placement(self, layer: Layer) -> Mapping[str, Placement]:
        """Where the output channels of a layer live: mesh axis -> placement. An axis that is not named replicates."""
        return {}

    def exchange(self, layer: Layer) -> Exchange | None:
        """What happens to the input of a layer before the layer reads it; its adjoint happens to the gradient."""
        return None

    def parallelize(self, network: Network) -> nn.Module:
        """The module to call, around this rank's share of the network: here gradients are summed over "data"."""
        if self.mesh.get("data", 1) == 1:
            return network
        return DataParallel(network, self.channel("data"))

    # ------------------------------------------------------------------ what follows from it, without a process

    def __init__(self, config: Config, world: World) -> None:
        """Plan for one rank. Does not communicate, so that any rank of any world can be looked at.

        Raises:
            UsageError: the world size, the batch, the options or the model do not fit this strategy.
        """
        self.config, self.world = config, world
        self.options = parse_options(self.name, self.Options, config.strategy.options)
        self.mesh = dict(self.axes(world.world_size))
        if mesh_size(self.mesh) != world.world_size:
            raise ValueError(f"{self.name}: mesh {self.mesh} has not {world.world_size} ranks")
        self.coordinate = coordinates(world.rank, self.mesh)
        self.layers = describe(config.model)
        self.traffic, self.clock = Traffic(), Clock(world.device)
        self._device_mesh: DeviceMesh | None = None
        check_batch(config.train, self.mesh.get("data", 1))
        self.validate()
        check_tables(self.layers, self.mesh, self.placement, self.exchange)

    def rows(self, rows: int) -> slice:
        """Which of the rows of a global batch this rank loads."""
        return split_rows(rows, self.mesh.get("data", 1), self.coordinate.get("data", 0))

    @property
    def speaks_for_its_rows(self) -> bool:
        """True on exactly one of the ranks that compute the same rows: the one whose loss and errors count."""
        return all(place == 0 for axis, place in self.coordinate.items() if axis != "data")

    def outputs(self, layer: Layer) -> slice:
        """The output channels of a layer that this rank holds."""
        return self._outputs_at(layer, self.coordinate)

    def predict_traffic(self, global_batch: int) -> Traffic:
        """Bytes that this rank sends in one optimizer step."""
        traffic, rows = Traffic(), _length(self.rows(global_batch))
        item = DTYPES[self.config.train.dtype].itemsize
        for before, layer in zip(self.layers, self.layers[1:], strict=False):
            if exchange := self.exchange(layer):
                elements = rows * before.result_size**2 * item
                shards = [size * elements for size in self._shard_sizes(before, exchange.axis)]
                traffic = traffic.merge([exchange.predict(layer.name, shards, self.coordinate[exchange.axis])])
        if axis := self._loss_axis():
            traffic.add("loss", "forward", rows * STATISTICS * item * (self.mesh[axis] - 1))
        replicated = [layer for layer in self.layers if isinstance(self.placement(layer).get("data", Replicate()), Replicate)]
        held = sum(layer.parameters // layer.out_channels * _length(self.outputs(layer)) for layer in replicated)
        traffic.add("gradients", "backward", all_reduce_bytes(held * item, self.mesh.get("data", 1)))
        return traffic

    # ------------------------------------------------------------------ what happens on a rank, after torch.distributed is up

    def connect(self) -> None:
        """Build the DeviceMesh and its groups. Every rank calls it, once."""
        if self.world.world_size > 1:
            self._device_mesh = init_device_mesh(self.world.device.type, tuple(self.mesh.values()), mesh_dim_names=tuple(self.mesh))

    @property
    def device_mesh(self) -> DeviceMesh:
        """The mesh with its process groups; there is none in a world of one."""
        if self._device_mesh is None:
            raise ValueError(f"{self.name}: not connected, or alone in its world")
        return self._device_mesh

    def channel(self, axis: str) -> Channel:
        """This rank's place on an axis, to exchange over."""
        group = self._device_mesh.get_group(axis) if self._device_mesh else None
        return Channel(group, self.coordinate[axis], self.mesh[axis], self.traffic, self.clock)

    def build(self) -> Network:
        """This rank's share of the network, with the initial weights of the seed."""
        train = self.config.train
        shares = {layer.name: Share(self.outputs(layer), self._bind_exchange(layer)) for layer in self.layers}
        return Network(self.layers, shares, seed=train.seed, device=self.world.device, dtype=DTYPES[train.dtype])

    def forward_backward(self, net: nn.Module, batch: Batch, step: int) -> Tensor:
        """Leave the final gradient of the global mean loss in `.grad` of this rank's parameters.

        Args:
            net: from `parallelize`, gradients cleared.
            batch: this rank's rows of a global batch of `batch.global_batch` images.
            step: number of the optimizer step, for the dropout masks.

        Returns:
            Loss of this rank's rows, summed and divided by the size of the global batch (never a local mean: rows may not divide evenly).
        """
        losses = []
        parts = batch.microbatches(self.config.train.accumulation)
        for part in parts:
            with self.reduction(net, is_last=part is parts[-1]):
                with self.clock("forward"):
                    scores = net(part.images, Draw(self.config.train.seed, step, part.rows))
                    loss = self.loss(scores, part.labels) / part.global_batch
                with self.clock("backward"):
                    loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
        if isinstance(net, DataParallel):
            self.clock.move(net.exposed_seconds(), "backward", "communication")
        return torch.stack(losses).sum()

    def reduction(self, net: nn.Module, is_last: bool) -> AbstractContextManager[None]:
        """Around one microbatch: gradients are summed over ranks with the last one only."""
        return net.no_sync() if isinstance(net, DataParallel) and not is_last else nullcontext()

    def loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy summed over the rows, from the scores [B, k] that this rank holds; 0 on a rank that holds no class."""
        classes = self.outputs(self.layers[-1])
        if axis := self._loss_axis():
            return sharded_cross_entropy(scores, labels, classes.start, self.channel(axis))
        if classes.stop == classes.start:
            return scores.sum()
        return functional.cross_entropy(scores, labels, reduction="sum")

    def predict(self, network: Network, images: Tensor) -> Tensor:
        """Scores [B, K] of all classes, on a rank that speaks for its rows; elsewhere perhaps fewer."""
        scores: Tensor = network(images)
        if axis := self._loss_axis():
            return gather_shards(scores, "predict", Exchange(axis), self._shard_sizes(self.layers[-1], axis), self.channel(axis))
        return scores

    # ------------------------------------------------------------------ inner workings

    def _outputs_at(self, layer: Layer, coordinate: Mapping[str, int]) -> slice:
        return interval(layer.out_channels, self.placement(layer), self.mesh, coordinate)

    def _shard_sizes(self, layer: Layer, axis: str) -> list[int]:
        return [_length(self._outputs_at(layer, {**self.coordinate, axis: place})) for place in range(self.mesh[axis])]

    def _bind_exchange(self, layer: Layer) -> Any:
        exchange = self.exchange(layer)
        if exchange is None or layer.index == 0:
            return None
        sizes = self._shard_sizes(self.layers[layer.index - 1], exchange.axis)
        return partial(gather_shards, name=layer.name, exchange=exchange, sizes=sizes, channel=self.channel(exchange.axis))

    def _loss_axis(self) -> str | None:
        """The axis over which the classes are spread, if there is one."""
        placements = self.placement(self.layers[-1]).items()
        return next((axis for axis, placement in placements if isinstance(placement, Shard) and self.mesh[axis] > 1), None)


def _length(interval: slice) -> int:
    return int(interval.stop - interval.start)
