"""Bytes that a rank sends in a step, from the tables of its strategy. Counting (`Traffic`) must come to the same."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import TYPE_CHECKING

from dist_alexnet.parallel.batch_to_model import ROW_LABEL_BYTES, BatchToModel
from dist_alexnet.parallel.exchange import WIRE_DTYPES
from dist_alexnet.parallel.loss import STATISTICS
from dist_alexnet.parallel.placement import Replicate, length
from dist_alexnet.parallel.traffic import Traffic, all_reduce_bytes

if TYPE_CHECKING:
    from dist_alexnet.parallel.tables import Tables


def predict_traffic(tables: Tables, global_batch: int) -> Traffic:
    """Exchanges of the layers' inputs, the loss over sharded classes, and gradients summed over the axes that share the rows."""
    traffic, rows = Traffic(), tables.computed_rows(global_batch)
    for before, layer in itertools.pairwise(tables.layers):
        exchange = tables.exchange(layer)
        if exchange is None:
            continue
        item = WIRE_DTYPES[exchange.wire].itemsize if exchange.wire in WIRE_DTYPES else tables.item_bytes
        place, map_bytes = tables.coordinate[exchange.axis], before.result_size**2 * item
        if isinstance(exchange, BatchToModel):
            brought = tables.rows_along(exchange.axis, global_batch)
            parts = [count * before.out_channels * map_bytes for count in brought]
            traffic.add("labels", "forward", rows * ROW_LABEL_BYTES * (len(brought) - 1))
            rows = sum(brought)
        else:
            parts = [size * rows * map_bytes for size in tables.shard_sizes(before, exchange.axis)]
        traffic = traffic.merge([exchange.predict(layer.name, parts, place)])
    if axis := tables.loss_axis():
        traffic.add("loss", "forward", rows * STATISTICS * tables.item_bytes * (tables.mesh[axis] - 1))
    traffic.add("gradients", "backward", gradient_bytes(tables))
    return traffic


def gradient_bytes(tables: Tables) -> Fraction:
    """Bytes that a rank sends to sum its gradients: of each layer over those of the row axes on which it is replicated."""
    total = Fraction(0)
    for layer in tables.layers:
        placed, ranks = tables.placement(layer), 1
        for axis in tables.row_axes:
            ranks *= tables.mesh.get(axis, 1) if isinstance(placed.get(axis, Replicate()), Replicate) else 1
        held = layer.parameters // layer.out_channels * length(tables.outputs(layer))
        total += all_reduce_bytes(held * tables.item_bytes, ranks)
    return total
