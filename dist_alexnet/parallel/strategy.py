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

        @classmethod
        def axes(cls, config, world_size): return {"tower": world_size}

        def placement(self, layer): return {"tower": Shard(0)}

        def exchange(self, layer): return Exchange("tower") if layer.groups == 1 and layer is not self.first else None

A split layer must read a split input, joined by an `Exchange` or, where its groups allow it, its own part alone: `checks.py` refuses what
would leave a rank with a part of a gradient. Register the class as an entry point of the group `dist_alexnet.strategies`, under its `name`;
`--strategy` then lists it.

    Statement   what a strategy says without a process    \\  to be overridden, a line each in docs/adding_a_strategy.md
    Strategy    what it says of a step, in this file      /
    Tables      what follows for any rank of any world    \\  final
    Connected   what follows on a rank among others       /
"""

from abc import ABC
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import final

import torch
from torch import Tensor, nn

from dist_alexnet.batch import Batch
from dist_alexnet.model.layers import Layer
from dist_alexnet.model.network import Network
from dist_alexnet.parallel.connected import Connected
from dist_alexnet.parallel.exchanges.gradients import DataParallel
from dist_alexnet.parallel.exchanges.traffic import Collective, Traffic
from dist_alexnet.parallel.placement import length
from dist_alexnet.parallel.predict import collectives
from dist_alexnet.update.optimizer import VelocitySGD


class Strategy(Connected, ABC):
    """One optimizer step of the network spread over ranks. See the module docstring for what a subclass must say."""

    # ------------------------------------------------------------------ what a step computes, keeps and sends: asked without a process

    def computed_rows(self, global_batch: int) -> int:
        """How many rows this rank computes, those included that only fill up."""
        return length(self.rows(global_batch))

    def kept_rows(self, layer: Layer, global_batch: int) -> int:
        """Rows whose activations in a layer this rank keeps at once for the backward pass: a microbatch's; an override may say more."""
        return -(-self.computed_rows(global_batch) // self.microbatches)

    def collectives(self, global_batch: int) -> Iterable[Collective]:
        """What this rank sends in one optimizer step, in order, after the tables; a strategy that sends other things says so here."""
        return collectives(self, global_batch)

    @final
    def predict_traffic(self, global_batch: int) -> Traffic:
        """Bytes that this rank sends in one optimizer step."""
        traffic = Traffic()
        for collective in self.collectives(global_batch):
            traffic.add(collective.name, collective.direction, collective.sent)
        return traffic

    # ------------------------------------------------------------------ what a rank builds, once

    def build(self) -> Network:
        """This rank's share of the network, with the initial weights of the seed."""
        shares = {layer.name: self.share(layer) for layer in self.layers}
        return Network(self.layers, shares, seed=self.config.train.seed, device=self.world.device, precision=self.precision)

    def parallelize(self, network: Network) -> nn.Module:
        """The module to call, around this rank's share of the network: here gradients are summed over "data"."""
        if self.mesh.get("data", 1) == 1:
            return network
        return DataParallel(network, self.channel("data"), self.bucket_mib, self.gradient_wire)

    def updated(self, network: Network) -> dict[str, nn.Parameter]:
        """Canonical name -> the parameters that this rank's optimizer updates."""
        return dict(network.named_parameters())

    # ------------------------------------------------------------------ what it does with each batch

    def train_step(self, net: nn.Module, optimizer: VelocitySGD, lr: float, batch: Batch, step: int) -> Tensor:
        """One optimizer step at this learning rate; arguments and result as of `forward_backward`."""
        with self.clock("optimizer"):
            net.zero_grad()
        loss = self.forward_backward(net, batch, step)
        with self.clock("optimizer"):
            self.update(net, optimizer, lr)
        return loss

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

    def reduction(self, net: nn.Module, is_last: bool) -> AbstractContextManager[None]:
        """Around one microbatch: gradients are summed over ranks with the last one only."""
        return net.no_sync() if isinstance(net, DataParallel) and not is_last else nullcontext()

    def update(self, net: nn.Module, optimizer: VelocitySGD, lr: float) -> None:
        """From gradients to new weights, on every rank that holds some."""
        optimizer.step_at(lr)

    def predict(self, network: Network, images: Tensor) -> Tensor:
        """Scores [B, K] of all classes, on a rank that speaks for its rows; elsewhere perhaps fewer."""
        return self.join_classes(network(images))
