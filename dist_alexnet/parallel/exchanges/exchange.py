"""What happens to a layer's input before the layer reads it: the second of the two tables that describe a strategy.

An `Exchange` is the description, from which bytes are predicted without a process; `gather_shards` is the act, an autograd function with
its adjoint. Ranks talk in pairs (isend/irecv), because that sends exactly the bytes that are needed for shards of any sizes, and because
gloo is fastest so: 3.3 ms against 6.4 ms (all-gather) and 9.4 ms (reduce-scatter) for 5.5 MB between two processes, 2026-11.

Letters: B images, C channels of a shard, R ranks of the axis.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor

from dist_alexnet.parallel.exchanges.traffic import Direction, Traffic
from dist_alexnet.telemetry.clock import Clock

Wire = Literal["full", "bfloat16", "float16"]  # numbers on their way: as they are computed | rounded, as the authors tried
WIRE_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Exchange:
    """Join the channel shards that the ranks of one mesh axis hold of a layer's input.

    Every reader gets all channels. In the backward pass each reader's gradient goes back to the ranks that the channels came from, which
    add them up. Where all ranks read, that is an all-gather and, as its adjoint, a reduce-scatter.
    """

    axis: str  # of the mesh
    reader: int | None = None  # the only coordinate of the axis that needs the input; None: all of them do
    wire: Wire = "full"
    overlap: bool = False  # hide the transfer behind the part of the layer's product whose input is already here

    def readers(self, ranks: int) -> range:
        """Coordinates that read the joined input."""
        return range(ranks) if self.reader is None else range(self.reader, self.reader + 1)

    def kind(self, shards: Sequence[int]) -> tuple[str, str]:
        """Forward and backward, in torch.distributed's words, when the ranks hold shards of these sizes."""
        if self.reader is None:
            return "all-gather", "reduce-scatter"
        others = sum(bool(size) for r, size in enumerate(shards) if r != self.reader)
        return ("send", "send") if others == 1 else ("gather", "scatter")

    def sends(self, shard_bytes: Sequence[int], coordinate: int) -> tuple[int, int]:
        """Bytes that one rank sends, forward and backward, when the ranks hold shards of these sizes on the wire."""
        readers = self.readers(len(shard_bytes))
        backward = sum(shard_bytes) - shard_bytes[coordinate] if coordinate in readers else 0
        return shard_bytes[coordinate] * (len(readers) - (coordinate in readers)), backward


@dataclass(frozen=True)
class Channel:
    """A process group to exchange over, and where to note what it cost."""

    group: dist.ProcessGroup | None  # None: a group of one
    rank: int  # within the group
    size: int  # ranks in the group
    traffic: Traffic = field(repr=False)
    clock: Clock = field(repr=False)
    members: tuple[int, ...] = ()  # ranks of the world that are in the group; empty: all

    @property
    def peers(self) -> list[int]:
        """The other ranks of the group."""
        return [r for r in range(self.size) if r != self.rank]

    def swap(
        self, name: str, direction: Direction, sends: Mapping[int, Tensor], receives: Mapping[int, Tensor], wire: Wire = "full"
    ) -> None:
        """Send `sends[r]` to rank r of the group and fill `receives[r]` from it; all tensors contiguous, empty ones are left out."""
        self.start(name, direction, sends, receives, wire).wait()

    def start(
        self, name: str, direction: Direction, sends: Mapping[int, Tensor], receives: Mapping[int, Tensor], wire: Wire = "full"
    ) -> "Transfer":
        """As `swap`, but return at once; nothing that is sent may be changed, nor what is received be read, before `Transfer.wait`."""
        on_wire = {id(tensor): self._to_wire(tensor, wire) for tensor in sends.values()}  # one copy, however many ranks it goes to
        out = {r: on_wire[id(tensor)] for r, tensor in sends.items() if tensor.numel()}
        into = {r: (tensor, self._to_wire(tensor, wire)) for r, tensor in receives.items() if tensor.numel()}
        operations = [dist.P2POp(dist.isend, tensor, group=self.group, group_peer=r) for r, tensor in out.items()]
        operations += [dist.P2POp(dist.irecv, buffer, group=self.group, group_peer=r) for r, (_, buffer) in into.items()]
        self.traffic.add(name, direction, sum(tensor.nbytes for tensor in out.values()))
        with self.exposed(name):
            works = dist.batch_isend_irecv(operations) if operations else []
        return Transfer(self, name, works, list(into.values()), out)

    @contextmanager
    def exposed(self, name: str) -> Iterator[None]:
        """Charge the time inside the block to an exchange: nothing hides it."""
        with self.clock("communication", name, self.members):
            yield

    def _to_wire(self, tensor: Tensor, wire: Wire) -> Tensor:
        tensor = tensor if wire == "full" else tensor.to(WIRE_DTYPES[wire])
        # Ranks that share one device talk over gloo, which sends what lies in the host's memory.
        return tensor.cpu() if tensor.is_cuda and dist.get_backend(self.group) == "gloo" else tensor


@dataclass(frozen=True)
class Transfer:
    """Messages on their way."""

    channel: Channel
    name: str
    works: list[Any]
    received: list[tuple[Tensor, Tensor]]  # where it shall be, where it arrives
    sent: Mapping[int, Tensor]  # kept alive until it is out

    def wait(self) -> None:
        """Return when everything has arrived and what was sent may change."""
        with self.channel.exposed(self.name):
            for work in self.works:
                work.wait()
        for target, buffer in self.received:
            if target is not buffer:
                target.copy_(buffer)


def gather_shards(x: Tensor, name: str, exchange: Exchange, sizes: Sequence[int], channel: Channel) -> Tensor:
    """Join every rank's channels along dimension 1; on the way back, sum what the readers made of them.

    For a result that each reader uses *differently* (other filters, other columns): the sum of their gradients is then the gradient.

    Args:
        x: [B, C, ...], C = sizes[channel.rank]; B and the other dimensions are the same on every rank.
        name: of the layer that reads the result, for the byte count.
        exchange: who reads.
        sizes: channels that each rank of the group holds.
        channel: the group.

    Returns:
        [B, sum(sizes), ...] on a reader, [B, 0, ...] elsewhere.

    Source: Krizhevsky et al. 2012, section 3.2 (conv3 and the fully connected layers read both towers).
    """
    if x.shape[1] != sizes[channel.rank]:
        raise ValueError(f"{name}: rank {channel.rank} brings {x.shape[1]} channels, the exchange expects {list(sizes)}")
    joined: Tensor = _GatherShards.apply(x, name, exchange, tuple(sizes), channel)
    return joined


class _GatherShards(torch.autograd.Function):
    """Channels move to the last dimension for the transfer: channels-last activations then travel without being copied."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, name: str, exchange: Exchange, sizes: tuple[int, ...], channel: Channel) -> Tensor:
        me, readers = channel.rank, exchange.readers(len(sizes))
        ctx.name, ctx.sizes, ctx.readers, ctx.channel, ctx.shape, ctx.wire = name, sizes, readers, channel, x.shape, exchange.wire
        own = x.movedim(1, -1).contiguous()
        shards = {r: own if r == me else own.new_empty((*own.shape[:-1], size)) for r, size in enumerate(sizes) if me in readers}
        sends = {r: own for r in readers if r != me}
        channel.swap(name, "forward", sends, {r: shard for r, shard in shards.items() if r != me}, exchange.wire)
        if me not in readers:
            return x.new_empty((x.shape[0], 0, *x.shape[2:]))
        return torch.cat([shards[r] for r in range(len(sizes))], dim=-1).movedim(-1, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), me = gradients, ctx.channel.rank
        parts: dict[int, Tensor] = {}
        if me in ctx.readers:
            parts = {r: part.contiguous() for r, part in enumerate(torch.split(gradient.movedim(1, -1), ctx.sizes, dim=-1))}
        own_shape = (ctx.shape[0], *ctx.shape[2:], ctx.shape[1])
        partials = {r: parts[r] if r == me else gradient.new_empty(own_shape) for r in ctx.readers}
        sends = {r: part for r, part in parts.items() if r != me}
        ctx.channel.swap(ctx.name, "backward", sends, {r: partial for r, partial in partials.items() if r != me}, ctx.wire)
        total = partials[ctx.readers[0]]
        for r in ctx.readers[1:]:  # in the order of the ranks, so that the sum is the same on every run
            total = total + partials[r]
        return total.movedim(-1, 1), None, None, None, None
