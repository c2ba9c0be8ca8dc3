"""The contract of a strategy: one optimizer step of the network, spread over ranks.

A strategy is two tables and, where that is not enough, a step of its own:

1. `axes`       which ranks there are, as a named mesh: {"data": N}, {"tower": 2}, {"data": N / 2, "tower": 2}, ...
2. `placement`  for each layer and mesh axis: `Replicate()`, `Shard(0)` or `Owner(k)` of its output channels.
3. `exchange`   for each layer: what happens to its input first. `None`, `Exchange(axis)`: all channels from all ranks of an axis, or
                `BatchToModel(axis)`: all rows.

From these follow what each rank computes, what it saves in a checkpoint, what `explain` prints and how many bytes will be sent; so a
strategy that keeps to them needs no other method. The rows of a batch are split over `row_axes`, by itself the axis called "data", and over
no other; a layer that is replicated over such an axis has its gradient summed there (`parallelize` does it).

The smallest useful strategy is the one of 2012, in full:

    class ChannelSplit(Strategy):
        name = "channel_split"

        def axes(self, world_size): return {"tower": world_size}

        def placement(self, layer): return {"tower": Shard(0)}

        def exchange(self, layer): return Exchange("tower") if layer.name in ("conv3", "fc6", "fc7", "fc8") else None

A split layer must read a split input, joined by an `Exchange` or, where its groups allow it, its own part alone: `checks.py` refuses what
would leave a rank with a part of a gradient. Register the class as an entry point of the group `dist_alexnet.strategies`, under its `name`;
`--strategy` then lists it. Everything up to `connect` is pure: it runs without processes, for any rank of any world.
"""

from abc import ABC
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.nn import functional

from dist_alexnet.batch import Batch
from dist_alexnet.config import Config
from dist_alexnet.model.layers import Layer
from dist_alexnet.model.network import Draw, MaskWatcher, Network, Share
from dist_alexnet.parallel.exchanges.exchange import Channel, Exchange, gather_shards
from dist_alexnet.parallel.exchanges.gradients import DataParallel
from dist_alexnet.parallel.exchanges.loss import sharded_cross_entropy
from dist_alexnet.parallel.exchanges.overlap import OverlappedProduct
from dist_alexnet.parallel.exchanges.traffic import Traffic
from dist_alexnet.parallel.groups import connect_mesh
from dist_alexnet.parallel.tables import DTYPES, Tables
from dist_alexnet.parallel.world import World
from dist_alexnet.telemetry.clock import Clock
from dist_alexnet.update.optimizer import VelocitySGD


class Strategy(Tables, ABC):
    """One optimizer step of the network spread over ranks. See the module docstring for what a subclass must say."""

    def __init__(self, config: Config, world: World) -> None:
        super().__init__(config, world)
        self.traffic, self.clock = Traffic(), Clock(world.device)
        self.watch_masks: MaskWatcher | None = None  # who is to see the dropout masks as they are applied
        self._device_mesh: DeviceMesh | None = None

    def connect(self) -> None:
        """Build the DeviceMesh and its groups. Every rank calls it, once."""
        if self.world.world_size > 1:
            self._device_mesh = connect_mesh(self.world, self.mesh, self.config.launch.timeout_s)

    @property
    def device_mesh(self) -> DeviceMesh:
        """The mesh with its process groups; there is none in a world of one."""
        if self._device_mesh is None:
            raise ValueError(f"{self.name}: not connected, or alone in its world")
        return self._device_mesh

    def channel(self, axis: str) -> Channel:
        """This rank's place on an axis, to exchange over."""
        group = self._device_mesh.get_group(axis) if self._device_mesh else None
        members = tuple(dist.get_process_group_ranks(group)) if group else (self.world.rank,)
        return Channel(group, self.coordinate[axis], self.mesh[axis], self.traffic, self.clock, members)

    def world_channel(self) -> Channel:
        """This rank's place among all."""
        return Channel(None, self.world.rank, self.world.world_size, self.traffic, self.clock)

    def build(self) -> Network:
        """This rank's share of the network, with the initial weights of the seed."""
        train = self.config.train
        shares = {layer.name: self._share(layer) for layer in self.layers}
        return Network(self.layers, shares, seed=train.seed, device=self.world.device, dtype=DTYPES[train.dtype])

    def updated(self, network: Network) -> dict[str, nn.Parameter]:
        """Canonical name -> the parameters that this rank's optimizer updates."""
        return dict(network.named_parameters())

    def train_step(self, net: nn.Module, optimizer: VelocitySGD, lr: float, batch: Batch, step: int) -> Tensor:
        """One optimizer step at this learning rate; arguments and result as of `forward_backward`."""
        with self.clock("optimizer"):
            net.zero_grad()
        loss = self.forward_backward(net, batch, step)
        with self.clock("optimizer"):
            self.update(net, optimizer, lr)
        return loss

    def update(self, net: nn.Module, optimizer: VelocitySGD, lr: float) -> None:
        """From gradients to new weights, on every rank that holds some."""
        optimizer.step_at(lr)

    def parallelize(self, network: Network) -> nn.Module:
        """The module to call, around this rank's share of the network: here gradients are summed over "data"."""
        if self.mesh.get("data", 1) == 1:
            return network
        return DataParallel(network, self.channel("data"))

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
                    scores = net(part.images, self.draw(step, part.rows))
                    loss = self.loss(scores, part.labels) / part.global_batch
                with self.clock("backward"):
                    loss.backward()  # type: ignore[no-untyped-call]
                    if isinstance(net, DataParallel):
                        net.charge_exposed()
            losses.append(loss.detach())
        return torch.stack(losses).sum()

    def draw(self, step: int, rows: Tensor) -> Draw:
        """What the dropout masks of these rows of the global batch depend on."""
        return Draw(self.config.train.seed, step, rows, self.watch_masks)

    def reduction(self, net: nn.Module, is_last: bool) -> AbstractContextManager[None]:
        """Around one microbatch: gradients are summed over ranks with the last one only."""
        return net.no_sync() if isinstance(net, DataParallel) and not is_last else nullcontext()

    def loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy summed over the rows, from the scores [B, k] that this rank holds; 0 on a rank that holds no class."""
        classes = self.outputs(self.layers[-1])
        if axis := self.loss_axis():
            return sharded_cross_entropy(scores, labels, classes.start, self.channel(axis))
        if classes.stop == classes.start:
            return scores.sum()
        return functional.cross_entropy(scores, labels, reduction="sum")

    def predict(self, network: Network, images: Tensor) -> Tensor:
        """Scores [B, K] of all classes, on a rank that speaks for its rows; elsewhere perhaps fewer."""
        return self.join_classes(network(images))

    def join_classes(self, scores: Tensor) -> Tensor:
        """[B, K] from the [B, k] that each rank holds, if the classes are spread."""
        if axis := self.loss_axis():
            return gather_shards(scores, "predict", Exchange(axis), self.shard_sizes(self.layers[-1], axis), self.channel(axis))
        return scores

    def _share(self, layer: Layer) -> Share:
        outputs, exchange = self.outputs(layer), self.exchange(layer)
        if layer.index == 0 or not isinstance(exchange, Exchange):
            return Share(outputs)
        sizes, channel = self.shard_sizes(self.layers[layer.index - 1], exchange.axis), self.channel(exchange.axis)
        everybody_has_some = all(self.shard_sizes(layer, exchange.axis))  # else a rank would have no product to hide anything behind
        if exchange.overlap and channel.size > 1 and everybody_has_some:
            return Share(outputs, product=OverlappedProduct(exchange, sizes, channel))
        return Share(outputs, partial(gather_shards, name=layer.name, exchange=exchange, sizes=sizes, channel=channel))
