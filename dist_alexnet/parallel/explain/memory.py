"""What a rank keeps in memory during a step, from the tables of its strategy; needs no process.

Counted are weights, their gradients, momentum, and what autograd holds between the forward and the backward pass. Not counted are the
images as the loader brings them, the buffers of messages, what an operator needs while it runs, and Python itself.

    linear map        its input, joined if an exchange joins it, with the zeros that conv1 pads it with
    ReLU              its result; the next layer's input is the same memory where that layer reads it as it is
    dropout           its mask, a byte per unit (the product is the next layer's input)
    fused block       its input, and a byte per output that says where in the window the maximum was       (float32 on the CPU)
    plain block       each map between its operators, and 8 bytes per output                               (elsewhere)
    cross-entropy     a number per class

`test_memory.py` compares the last column with what `torch.autograd.graph.saved_tensors_hooks` sees.

Letters: b rows kept at once, o output channels of this rank's share.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

from dist_alexnet.model.layers import LRN_SIZE, Layer
from dist_alexnet.parallel.exchanges.batch_to_model import BatchToModel
from dist_alexnet.parallel.placement import Placement, interval, length
from dist_alexnet.parallel.strategy import Strategy

INDEX_BYTES = 8  # of the position that torch's max-pool keeps per output; the fused block's takes 1


@dataclass(frozen=True)
class Memory:
    """Bytes that a rank keeps, at most, during a step."""

    weights: int  # between steps
    gathered: int  # of other ranks' weights, while they are used here
    gradients: int
    momentum: int
    activations: int  # that autograd keeps for the backward pass

    @property
    def total(self) -> int:
        """All of it."""
        return sum(getattr(self, field.name) for field in fields(self))


def memory(strategy: Strategy, global_batch: int, fused: bool) -> Memory:
    """Memory of the rank that `strategy` looks from.

    Args:
        strategy: of any rank.
        global_batch: images of a step.
        fused: ReLU, LRN and pooling are one op, as in float32 on the CPU.
    """
    stored, whole = parameter_bytes(strategy, strategy.stored), parameter_bytes(strategy, strategy.placement)
    missing = [used - kept for used, kept in zip(whole, stored, strict=True)]
    at_once = strategy.gathered_layers
    # Gradients are scattered with the last microbatch; until then they add up whole.
    gathers_gradients = any(missing) and strategy.config.train.accumulation > 1
    return Memory(
        weights=sum(stored),
        gathered=max(sum(missing[first : first + at_once]) for first in range(len(missing))),
        gradients=sum(whole if gathers_gradients else stored),
        momentum=sum(parameter_bytes(strategy, strategy.momentum)) if strategy.config.train.momentum else 0,
        activations=sum(kept_bytes(strategy, layer, global_batch, fused) for layer in strategy.layers),
    )


def kept_bytes(strategy: Strategy, layer: Layer, global_batch: int, fused: bool) -> int:
    """What autograd keeps of one layer on this rank, up to the next layer's input."""
    outputs, rows, item = length(strategy.outputs(layer)), strategy.kept_rows(layer, global_batch), strategy.item_bytes
    if not outputs:
        return 0
    units = outputs * layer.output_size**2
    kept = _channels_read(strategy, layer) * (layer.input_size + layer.overhang) ** 2 * item
    if layer.pool:
        kept += _fused_block(layer, outputs, item) if fused else _plain_block(layer, outputs, item)
    elif layer.relu and (layer.dropout or not _read_as_it_is(strategy, layer)):
        kept += units * item
    if layer.dropout:
        kept += units
    if layer is strategy.layers[-1]:
        kept += units * item
    return rows * kept


def _fused_block(layer: Layer, outputs: int, item: int) -> int:
    return outputs * (layer.output_size**2 * item + layer.result_size**2)


def _plain_block(layer: Layer, outputs: int, item: int) -> int:
    """Of `plain_relu_lrn_pool`: ReLU; squares with zeros around each tower, the base and the value of the power, the quotient; position."""
    channels = outputs
    if layer.lrn_alpha is not None:
        towers = max(1, layer.towers * outputs // layer.out_channels)
        channels += 4 * outputs + towers * (LRN_SIZE - 1)
        channels += outputs if towers > 1 else 0  # in channels-last memory two towers are cut apart by a copy
    return channels * layer.output_size**2 * item + outputs * layer.result_size**2 * INDEX_BYTES


def _channels_read(strategy: Strategy, layer: Layer) -> int:
    if layer.index == 0:
        return layer.in_channels
    before, exchange = strategy.layers[layer.index - 1], strategy.exchange(layer)
    if exchange is None or isinstance(exchange, BatchToModel):
        return length(strategy.outputs(before))
    return sum(strategy.shard_sizes(before, exchange.axis))


def _read_as_it_is(strategy: Strategy, layer: Layer) -> bool:
    """Does the next layer compute on the very tensor that this one leaves, on this rank?"""
    following = dict(itertools.pairwise(strategy.layers)).get(layer)
    if following is None or not length(strategy.outputs(following)):
        return False
    exchange = strategy.exchange(following)
    return exchange is None or strategy.mesh[exchange.axis] == 1


def parameter_bytes(strategy: Strategy, placement: Callable[[Layer], Mapping[str, Placement]]) -> list[int]:
    """By layer, of the parameters that lie here under a placement."""
    held = (length(interval(layer.out_channels, placement(layer), strategy.mesh, strategy.coordinate)) for layer in strategy.layers)
    return [
        layer.parameters // layer.out_channels * channels * strategy.item_bytes
        for layer, channels in zip(strategy.layers, held, strict=True)
    ]
