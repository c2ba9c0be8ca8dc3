"""The two collectives of PyTorch's `fully_shard`, counted, and in pairs where that is faster."""

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.fsdp._fully_shard._fsdp_collectives import DefaultAllGather, DefaultReduceScatter

from dist_alexnet.parallel.exchanges.exchange import Channel
from dist_alexnet.parallel.exchanges.traffic import Direction


class GatherWeights(DefaultAllGather):
    """Counts what it sends. Over gloo it talks in pairs, as all exchanges do, and the time is charged."""

    def __init__(self, channel: Channel, direction: Callable[[], Direction]) -> None:
        """`direction` says which pass is going on."""
        self._channel, self._direction = channel, direction

    def __call__(self, output_tensor: Tensor, input_tensor: Tensor, group: dist.ProcessGroup, async_op: bool = False) -> dist.Work | None:
        """`output_tensor` is made of the `input_tensor` of every rank."""
        channel, direction = self._channel, self._direction()
        if dist.get_backend(group) != "gloo":
            channel.traffic.add("weights", direction, (channel.size - 1) * input_tensor.nbytes)
            return super().__call__(output_tensor, input_tensor, group, async_op)
        shards = output_tensor.chunk(channel.size)
        shards[channel.rank].copy_(input_tensor)
        channel.swap("weights", direction, dict.fromkeys(channel.peers, input_tensor), {r: shards[r] for r in channel.peers})
        return None


class ScatterGradients(DefaultReduceScatter):
    """As `GatherWeights`; gloo's own is an all-reduce of which most is thrown away."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def __call__(
        self, output_tensor: Tensor, input_tensor: Tensor, group: dist.ProcessGroup, op: Any, async_op: bool = False
    ) -> dist.Work | None:
        """`output_tensor` is the sum of every rank's part of `input_tensor` that belongs here."""
        channel = self._channel
        if dist.get_backend(group) != "gloo":
            channel.traffic.add("gradients", "backward", (channel.size - 1) * output_tensor.nbytes)
            return super().__call__(output_tensor, input_tensor, group, op, async_op)
        shards = input_tensor.chunk(channel.size)
        partials = {r: torch.empty_like(output_tensor) for r in channel.peers}
        channel.swap("gradients", "backward", {r: shards[r] for r in channel.peers}, partials)
        partials[channel.rank] = shards[channel.rank]
        output_tensor.copy_(partials[0])
        for r in range(1, channel.size):  # in the order of the ranks, so that the sum is the same on every run
            output_tensor += partials[r]
        return None
