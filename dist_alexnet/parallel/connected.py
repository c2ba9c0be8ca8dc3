"""What follows, on a rank among others, from what a strategy says: groups, shares of layers, loss. Nothing here is to be overridden."""

from abc import ABC
from functools import partial
from typing import final

import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.nn import functional

from dist_alexnet.config import Config
from dist_alexnet.model.layers import Layer
from dist_alexnet.model.network import Draw, MaskWatcher, Share
from dist_alexnet.parallel.exchanges.exchange import Channel, Exchange, gather_shards
from dist_alexnet.parallel.exchanges.loss import sharded_cross_entropy
from dist_alexnet.parallel.exchanges.overlap import OverlappedProduct
from dist_alexnet.parallel.exchanges.traffic import Traffic
from dist_alexnet.parallel.groups import connect_mesh
from dist_alexnet.parallel.tables import Tables
from dist_alexnet.parallel.world import World
from dist_alexnet.telemetry.clock import Clock


class Connected(Tables, ABC):
    """One rank, and how it reaches the others."""

    def __init__(self, config: Config, world: World) -> None:
        super().__init__(config, world)
        self.traffic, self.clock = Traffic(), Clock(world.device)
        self.watch_masks: MaskWatcher | None = None  # who is to see the dropout masks as they are applied
        self._device_mesh: DeviceMesh | None = None

    @final
    def connect(self) -> None:
        """Build the DeviceMesh and its groups. Every rank calls it, once."""
        if self.world.world_size > 1:
            self._device_mesh = connect_mesh(self.world, self.mesh, self.config.launch.timeout_s)

    @property
    @final
    def device_mesh(self) -> DeviceMesh:
        """The mesh with its process groups; there is none in a world of one."""
        if self._device_mesh is None:
            raise ValueError(f"{self.name}: not connected, or alone in its world")
        return self._device_mesh

    @final
    def channel(self, axis: str) -> Channel:
        """This rank's place on an axis, to exchange over."""
        group = self._device_mesh.get_group(axis) if self._device_mesh else None
        members = tuple(dist.get_process_group_ranks(group)) if group else (self.world.rank,)
        return Channel(group, self.coordinate[axis], self.mesh[axis], self.traffic, self.clock, members)

    @final
    def world_channel(self) -> Channel:
        """This rank's place among all."""
        return Channel(self.world.group, self.world.rank, self.world.world_size, self.traffic, self.clock)

    @final
    def share(self, layer: Layer) -> Share:
        """This rank's part of a layer, and how its input reaches it."""
        outputs, exchange = self.outputs(layer), self.exchange(layer)
        if layer is self.first or not isinstance(exchange, Exchange):
            return Share(outputs)
        sizes, channel = self.shard_sizes(self.layers[layer.index - 1], exchange.axis), self.channel(exchange.axis)
        everybody_has_some = all(self.shard_sizes(layer, exchange.axis))  # else a rank would have no product to hide anything behind
        if exchange.overlap and channel.size > 1 and everybody_has_some:
            return Share(outputs, product=OverlappedProduct(exchange, sizes, channel))
        return Share(outputs, partial(gather_shards, name=layer.name, exchange=exchange, sizes=sizes, channel=channel))

    @final
    def draw(self, step: int, rows: Tensor) -> Draw:
        """What the dropout masks of these rows of the global batch depend on."""
        return Draw(self.config.train.seed, step, rows, self.watch_masks)

    @final
    def loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy summed over the rows, from the scores [B, k] that this rank holds; 0 on a rank that holds no class."""
        classes = self.outputs(self.last)
        if axis := self.loss_axis():
            return sharded_cross_entropy(scores, labels, classes.start, self.channel(axis))
        if classes.stop == classes.start:
            return scores.sum()
        return functional.cross_entropy(scores, labels, reduction="sum")

    @final
    def join_classes(self, scores: Tensor) -> Tensor:
        """[B, K] from the [B, k] that each rank holds, if the classes are spread."""
        if axis := self.loss_axis():
            return gather_shards(scores, "predict", Exchange(axis), self.shard_sizes(self.last, axis), self.channel(axis))
        return scores
