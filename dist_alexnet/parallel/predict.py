"""What a rank sends in a step and in which order, from the tables of its strategy. Counting (`Traffic`) must come to the same bytes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dist_alexnet.parallel.batch_to_model import ROW_LABEL_BYTES, BatchToModel
from dist_alexnet.parallel.exchange import WIRE_DTYPES, Wire
from dist_alexnet.parallel.loss import STATISTICS
from dist_alexnet.parallel.placement import Replicate, length
from dist_alexnet.parallel.traffic import Bytes, Direction, all_reduce_bytes

if TYPE_CHECKING:
    from dist_alexnet.parallel.tables import Tables


@dataclass(frozen=True)
class Collective:
    """One line of the traffic of a step, as one rank sees it."""

    name: str  # of the layer whose input it brings, or "loss", "labels", "gradients", "weights"
    kind: str  # all-gather, reduce-scatter, all-reduce, send, ...
    direction: Direction
    axes: tuple[str, ...]  # of the mesh, whose ranks take part
    sent: Bytes  # by this rank in one step
    times: int = 1  # into how many messages that is cut: microbatches, turns


def collectives(tables: Tables, global_batch: int) -> Iterator[Collective]:
    """Exchanges of the layers' inputs, the loss over sharded classes, the way back, and gradients summed over the axes that share rows."""
    rows, back, times = tables.computed_rows(global_batch), list[Collective](), tables.microbatches
    for before, layer in itertools.pairwise(tables.layers):
        exchange = tables.exchange(layer)
        if exchange is None or tables.mesh[exchange.axis] == 1:
            continue
        map_bytes = before.result_size**2 * wire_bytes(exchange.wire, tables)
        place, axes = tables.coordinate[exchange.axis], (exchange.axis,)
        if isinstance(exchange, BatchToModel):
            brought = tables.rows_along(exchange.axis, global_batch)
            parts = [count * before.out_channels * map_bytes for count in brought]
            yield Collective("labels", "all-gather", "forward", axes, rows * ROW_LABEL_BYTES * (len(brought) - 1), times)
            rows = sum(brought)
        else:
            parts = [size * rows * map_bytes for size in tables.shard_sizes(before, exchange.axis)]
        (forward, backward), (there, back_again) = exchange.sends(parts, place), exchange.kind(parts)
        yield Collective(layer.name, there, "forward", axes, forward, times)
        back.insert(0, Collective(layer.name, back_again, "backward", axes, backward, times))
    if axis := tables.loss_axis():
        sent = rows * STATISTICS * tables.item_bytes * (tables.mesh[axis] - 1)
        yield Collective("loss", "all-gather", "forward", (axis,), sent, times)
    yield from back
    yield from _gradients(tables)


def wire_bytes(wire: Wire, tables: Tables) -> int:
    """Bytes of a number on its way."""
    return WIRE_DTYPES[wire].itemsize if wire in WIRE_DTYPES else tables.item_bytes


def _gradients(tables: Tables) -> Iterator[Collective]:
    """Of each layer over those of the row axes on which it is replicated."""
    held: dict[tuple[str, ...], int] = {}
    for layer in tables.layers:
        placed = tables.placement(layer)
        shared = (axis for axis in tables.row_axes if tables.mesh.get(axis, 1) > 1)
        axes = tuple(axis for axis in shared if isinstance(placed.get(axis, Replicate()), Replicate))
        held[axes] = held.get(axes, 0) + layer.parameters // layer.out_channels * length(tables.outputs(layer))
    for axes, elements in held.items():
        ranks = 1
        for axis in axes:
            ranks *= tables.mesh[axis]
        if ranks > 1 and elements:
            item = wire_bytes(tables.gradient_wire, tables)
            yield Collective("gradients", "all-reduce", "backward", axes, all_reduce_bytes(elements * item, ranks))
