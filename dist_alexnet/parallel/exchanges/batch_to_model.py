"""From data parallel to model parallel: every rank gets the rows of all ranks, whole or in turns ("one weird trick", section 3).

`BatchToModel` is the description, from which bytes are predicted; `run_in_turns` is the act. A rank brings some of its rows to
each turn; in the backward pass every rank has made a part of their gradient, which goes back to whoever brought them and is added up there.

Letters: b own rows, R ranks of the axis. Source: Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dist_alexnet.batch import Batch
from dist_alexnet.parallel.exchanges.exchange import Channel, Transfer, Wire
from dist_alexnet.parallel.world import split_rows

Scheme = Literal["a", "b", "c"]
ROW_LABEL_BYTES = 16  # that travel with a row: its label and its number in the global batch, as int64


@dataclass(frozen=True)
class BatchToModel:
    """Join the rows that the ranks of one mesh axis hold of a layer's input; gradients of rows go back to where they came from."""

    axis: str  # of the mesh; one of the axes over which the rows are split
    wire: Wire = "full"

    def kind(self, rows: Sequence[int]) -> tuple[str, str]:
        """Forward and backward, in torch.distributed's words, whatever the ranks bring."""
        return "all-gather", "reduce-scatter"

    def sends(self, row_bytes: Sequence[int], coordinate: int) -> tuple[int, int]:
        """Bytes that one rank sends, forward and backward, when the ranks bring rows of these sizes."""
        return row_bytes[coordinate] * (len(row_bytes) - 1), sum(row_bytes) - row_bytes[coordinate]


def turns(scheme: Scheme, rows: Sequence[int]) -> list[list[slice]]:
    """Which of its rows each rank brings to each turn.

    Args:
        scheme: a: everybody all, in one turn | b: each rank all, one rank per turn | c: everybody a part, in as many turns as ranks.
        rows: of each rank.
    """
    ranks = range(len(rows))
    if scheme == "a":
        return [[slice(0, rows[r]) for r in ranks]]
    if scheme == "b":
        return [[slice(0, rows[r] if r == turn else 0) for r in ranks] for turn in ranks]
    return [[split_rows(rows[r], len(rows), turn) for r in ranks] for turn in ranks]


def run_in_turns(name: str, own: Batch, plan: Sequence[Sequence[slice]], channel: Channel, work: Callable[[Batch, bool], None]) -> Tensor:
    """Have every rank work on the rows of all ranks; the rows of a turn travel while the turn before is worked on.

    Args:
        name: of the layer that reads them, for the byte count.
        own: this rank's rows, with activations [b, ...] for images.
        plan: from `turns`.
        channel: the ranks that work together.
        work: is called with the rows of a turn and whether it is the last one; must leave the gradient of its activations in their `.grad`.

    Returns:
        [b, ...], the gradient of this rank's activations.
    """
    plan = [turn for turn in plan if any(rows.stop > rows.start for rows in turn)]
    gradient, returning = torch.zeros_like(own.images), []
    coming = _Turn(name, own, plan[0], channel)
    for number in range(len(plan)):
        turn, joined = coming, coming.join()
        if number + 1 < len(plan):
            coming = _Turn(name, own, plan[number + 1], channel)
        work(joined, number == len(plan) - 1)
        assert joined.images.grad is not None
        returning.append((turn, *turn.give_back(joined.images.grad)))
    for turn, transfer, parts in returning:
        transfer.wait()
        for r in sorted(parts):  # in the order of the ranks, so that the sum is the same on every run
            gradient[turn.own] += parts[r]
    return gradient


def join_rows(x: Tensor, channel: Channel) -> tuple[Tensor, list[int]]:
    """All ranks' rows [sum of b, ...] without a way back, and how many each rank brought, which they tell each other first."""
    counts = {r: torch.tensor([len(x)], device=x.device) for r in range(channel.size)}
    channel.swap("rows", "forward", dict.fromkeys(channel.peers, counts[channel.rank]), {r: counts[r] for r in channel.peers})
    rows = [int(counts[r]) for r in range(channel.size)]
    pieces = {r: x if r == channel.rank else x.new_empty((rows[r], *x.shape[1:])) for r in range(channel.size)}
    channel.swap("rows", "forward", dict.fromkeys(channel.peers, x), {r: pieces[r] for r in channel.peers})
    return torch.cat([pieces[r] for r in range(channel.size)]), rows


class _Turn:
    """The rows of one turn, on their way to every rank from the moment this is made."""

    def __init__(self, name: str, own: Batch, slices: Sequence[slice], channel: Channel) -> None:
        self._name, self._channel, self._global_batch = name, channel, own.global_batch
        self.own, self._sizes = slices[channel.rank], [rows.stop - rows.start for rows in slices]
        columns = (own.images, own.labels, own.rows)
        mine = [column[self.own].contiguous() for column in columns]
        self._pieces = {r: [column.new_empty((self._sizes[r], *column.shape[1:])) for column in columns] for r in channel.peers}
        self._transfers = [
            channel.start(label, "forward", dict.fromkeys(channel.peers, mine[i]), {r: self._pieces[r][i] for r in channel.peers})
            for i, label in enumerate((name, "labels", "labels"))
        ]
        self._pieces[channel.rank] = mine

    def join(self) -> Batch:
        """Wait for the others; all rows in the order of the ranks, the activations as a leaf that collects its gradient."""
        for transfer in self._transfers:
            transfer.wait()
        by_rank = [self._pieces[r] for r in range(self._channel.size)]
        activations, labels, rows = (torch.cat(column) for column in zip(*by_rank, strict=True))
        return Batch(activations.requires_grad_(), labels, rows, self._global_batch)

    def give_back(self, gradient: Tensor) -> tuple[Transfer, dict[int, Tensor]]:
        """Start to send each rank what was made here of the gradient of its rows; the transfer, and where the parts for own rows arrive."""
        me, parts = self._channel.rank, [part.contiguous() for part in torch.split(gradient, self._sizes)]
        arriving = {r: torch.empty_like(parts[me]) for r in self._channel.peers}
        transfer = self._channel.start(self._name, "backward", {r: parts[r] for r in self._channel.peers}, arriving)
        return transfer, {**arriving, me: parts[me]}
