"""What a rank sends in a step and in which order, from the tables of its strategy. Counting (`Traffic`) must come to the same bytes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Protocol

import torch

from dist_alexnet.model.layers import Layer
from dist_alexnet.model.precision import Precision
from dist_alexnet.parallel.exchanges.batch_to_model import ROW_LABEL_BYTES, BatchToModel
from dist_alexnet.parallel.exchanges.exchange import WIRE_DTYPES, Exchange, Wire
from dist_alexnet.parallel.exchanges.loss import STATISTICS
from dist_alexnet.parallel.exchanges.traffic import Collective, all_reduce_bytes
from dist_alexnet.parallel.placement import Placement, Replicate, length


class Stated(Protocol):
    """What a prediction asks of a strategy; `Strategy` has it, and says what each is."""

    layers: tuple[Layer, ...]
    mesh: dict[str, int]
    coordinate: dict[str, int]

    @property
    def gradient_wire(self) -> Wire:
        """How gradients travel that are summed over ranks."""

    @property
    def row_axes(self) -> tuple[str, ...]:
        """Mesh axes over which the rows of a batch are split."""

    @property
    def microbatches(self) -> int:
        """Into which this rank's rows of a step are cut."""

    @property
    def precision(self) -> Precision:
        """Types of parameters, activations and gradients."""

    def placement(self, layer: Layer) -> Mapping[str, Placement]:
        """Where the output channels of a layer live."""

    def exchange(self, layer: Layer) -> Exchange | BatchToModel | None:
        """What happens to the input of a layer."""

    def outputs(self, layer: Layer) -> slice:
        """The output channels of a layer that this rank holds."""

    def shard_sizes(self, layer: Layer, axis: str) -> list[int]:
        """Output channels of a layer that each coordinate of an axis holds."""

    def computed_rows(self, global_batch: int) -> int:
        """How many rows this rank computes."""

    def rows_along(self, axis: str, rows: int) -> list[int]:
        """How many rows of a global batch each coordinate of an axis loads."""

    def loss_axis(self) -> str | None:
        """The axis over which the classes are spread, if there is one."""


def collectives(tables: Stated, global_batch: int) -> Iterator[Collective]:
    """Exchanges of the layers' inputs, the loss over sharded classes, the way back, and gradients summed over the axes that share rows."""
    rows, back, times = tables.computed_rows(global_batch), list[Collective](), tables.microbatches
    for before, layer in itertools.pairwise(tables.layers):
        exchange = tables.exchange(layer)
        if exchange is None or tables.mesh[exchange.axis] == 1:
            continue
        map_bytes = before.result_size**2 * wire_bytes(exchange.wire, tables.precision.activation)
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
        sent = rows * STATISTICS * tables.precision.parameter.itemsize * (tables.mesh[axis] - 1)
        yield Collective("loss", "all-gather", "forward", (axis,), sent, times)
    yield from back
    yield from _gradients(tables)


def wire_bytes(wire: Wire, dtype: torch.dtype) -> int:
    """Bytes on its way of a number that is computed in a type."""
    return WIRE_DTYPES.get(wire, dtype).itemsize


def gradient_axes(tables: Stated, layer: Layer) -> tuple[str, ...]:
    """Mesh axes over whose ranks the gradient of a layer is added up: they share rows, and each has the layer whole."""
    placed = tables.placement(layer)
    shared = (axis for axis in tables.row_axes if tables.mesh.get(axis, 1) > 1)
    return tuple(axis for axis in shared if isinstance(placed.get(axis, Replicate()), Replicate))


def _gradients(tables: Stated) -> Iterator[Collective]:
    """Of each layer over those of the row axes on which it is replicated."""
    held: dict[tuple[str, ...], int] = {}
    for layer in tables.layers:
        axes = gradient_axes(tables, layer)
        held[axes] = held.get(axes, 0) + layer.parameters // layer.out_channels * length(tables.outputs(layer))
    for axes, elements in held.items():
        ranks = 1
        for axis in axes:
            ranks *= tables.mesh[axis]
        if ranks > 1 and elements:
            item = wire_bytes(tables.gradient_wire, tables.precision.gradient)
            yield Collective("gradients", "all-reduce", "backward", axes, all_reduce_bytes(elements * item, ranks))
