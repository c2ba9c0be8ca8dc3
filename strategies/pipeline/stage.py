"""One stage of a pipeline: PyTorch's `PipelineStage` under its 1F1B schedule, with bytes counted and time charged."""

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.pipelining import PipelineStage, Schedule1F1B
from torch.nn import functional

from dist_alexnet.batch import Batch
from dist_alexnet.model.network import Draw, Network
from dist_alexnet.parallel.exchanges.exchange import Channel
from dist_alexnet.parallel.exchanges.traffic import Direction

NO_LABEL = -100  # of a row that only fills up a microbatch


class Stage(nn.Module):
    """Some neighbouring layers, through which a step's microbatches pass."""

    def __init__(
        self,
        network: Network,
        names: tuple[str, str],
        shapes: tuple[tuple[int, ...], tuple[int, ...]],
        microbatches: int,
        rows: int,
        channel: Channel,
        draw: Callable[[int, Tensor], Draw],
    ) -> None:
        """Make a stage; the stages are the ranks of a group, in order.

        Args:
            network: of this stage's layers.
            names: of its first layer, and of the layer that reads what this stage leaves; empty for the last stage.
            shapes: of what it reads and of what it leaves, for one image.
            microbatches: of a step.
            rows: of a microbatch.
            channel: this rank's place among the stages.
            draw: gives, for step and rows, what the dropout masks depend on.
        """
        super().__init__()
        self.network, self._draw, self._channel, self._fill_to = network, draw, channel, microbatches * rows
        self._step = self._global_batch = 0
        read, left = network.precision.activation, network.precision.activation if names[1] else network.precision.parameter
        into = torch.empty(rows, *shapes[0], device="meta", dtype=read, requires_grad=channel.rank > 0)
        out = torch.empty(rows, *shapes[1], device="meta", dtype=left, requires_grad=True)
        stage = _CountedStage(self, channel.rank, channel.size, next(network.parameters()).device, into, out, group=channel.group)
        stage.channel, stage.names = channel, {"forward": names[1], "backward": names[0]}
        self._schedule = Schedule1F1B(stage, microbatches, loss_fn=self._loss, scale_grads=False)

    def forward(self, x: Tensor, rows: Tensor) -> Tensor:
        """One microbatch."""
        y: Tensor = self.network(x, self._draw(self._step, rows))
        return y.contiguous()  # channels-last, as convolutions leave it, does not travel

    def run(self, batch: Batch, step: int) -> Tensor:
        """One step forward and backward over all rows; its loss on the last stage, 0 elsewhere.

        All microbatches must be alike: rows without a label fill up the last ones, and add nothing to loss or gradient.
        """
        self._step, self._global_batch = step, batch.global_batch
        fill, losses = self._fill_to - len(batch.rows), list[Tensor]()
        images = functional.pad(batch.images, (0,) * 7 + (fill,))
        labels = functional.pad(batch.labels, (0, fill), value=NO_LABEL)
        inputs, target = (images,) if self._channel.rank == 0 else (), labels if self._channel.rank == self._channel.size - 1 else None
        with self._channel.exposed("stages"):  # whatever is neither forward nor backward: transfers, and waiting in the bubble
            self._schedule.step(*inputs, rows=functional.pad(batch.rows, (0, fill)), target=target, losses=losses, return_outputs=False)
        return torch.stack(losses).detach().sum() if losses else images.new_zeros((), dtype=self.network.precision.parameter)

    def _loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(scores, labels, ignore_index=NO_LABEL, reduction="sum") / self._global_batch


class _CountedStage(PipelineStage):
    channel: Channel
    names: dict[Direction, str]  # of the layer that reads what is sent in a pass, or made it

    def forward_one_chunk(self, *args: Any, **kwargs: Any) -> Any:
        with self.channel.clock("forward"):
            return super().forward_one_chunk(*args, **kwargs)

    def backward_one_chunk(self, *args: Any, **kwargs: Any) -> Any:
        with self.channel.clock("backward"):
            return super().backward_one_chunk(*args, **kwargs)

    def get_fwd_send_ops(self, fwd_chunk_id: int) -> list[dist.P2POp]:
        return self._count("forward", super().get_fwd_send_ops(fwd_chunk_id))

    def get_bwd_send_ops(self, bwd_chunk_id: int) -> list[dist.P2POp]:
        return self._count("backward", super().get_bwd_send_ops(bwd_chunk_id))

    def _count(self, direction: Direction, operations: list[dist.P2POp]) -> list[dist.P2POp]:
        for operation in operations:
            operation.tensor = operation.tensor.contiguous()  # gradients of convolutions come channels-last
            self.channel.traffic.add(self.names[direction], direction, operation.tensor.nbytes)
        return operations
