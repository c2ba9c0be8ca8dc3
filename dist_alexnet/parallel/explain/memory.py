"""What a rank keeps in memory during a step, from the tables of its strategy; needs no process.

Counted are weights, their gradients, momentum, and what autograd holds between the forward and the backward pass. Not counted are the
images as the loader brings them, the buffers of messages, what an operator needs while it runs, and Python itself.

    linear map        its input, joined if an exchange joins it, with the zeros that conv1 pads it with
    operation         what it says of itself (`Operation.kept`); a map that one gives and the next reads is there once, and the last one is
                      the next layer's input where that layer reads it as it is. Some run as one (`block/choose.py`)
    cross-entropy     a number per class

`test_memory.py` compares the last column with what `torch.autograd.graph.saved_tensors_hooks` sees.

Letters: b rows kept at once, o output channels of this rank's share.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

from dist_alexnet.model.block.choose import fuse
from dist_alexnet.model.layers import Layer
from dist_alexnet.model.operations.contract import Part
from dist_alexnet.parallel.exchanges.batch_to_model import BatchToModel
from dist_alexnet.parallel.placement import Placement, interval, length
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.update.rule import kept_states


@dataclass(frozen=True)
class Memory:
    """Bytes that a rank keeps, at most, during a step."""

    weights: int  # between steps, with the copies that products read in mixed precision
    gathered: int  # of other ranks' weights, while they are used here
    gradients: int
    momentum: int  # all states of the update rule
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
        fused: ReLU, LRN and pooling are one op, as in float32 and bfloat16 on the CPU.
    """
    stored, whole = parameter_bytes(strategy, strategy.stored), parameter_bytes(strategy, strategy.placement)
    missing, copies = [used - kept for used, kept in zip(whole, stored, strict=True)], 0
    if strategy.precision.mixed:
        read = [used // strategy.precision.parameter.itemsize * strategy.precision.activation.itemsize for used in whole]
        missing, copies = (read, 0) if any(missing) else (missing, sum(read))
    at_once = strategy.gathered_layers
    # Gradients are scattered with the last microbatch; until then they add up whole.
    gathers_gradients = any(missing) and strategy.config.train.accumulation > 1
    return Memory(
        weights=sum(stored) + copies + _buffers(strategy),
        gathered=max(sum(missing[first : first + at_once]) for first in range(len(missing))),
        gradients=sum(whole if gathers_gradients else stored),
        momentum=sum(parameter_bytes(strategy, strategy.momentum)) * len(kept_states(vars(strategy.config.train))),
        activations=sum(kept_bytes(strategy, layer, global_batch, fused) for layer in strategy.layers),
    )


def kept_bytes(strategy: Strategy, layer: Layer, global_batch: int, fused: bool) -> int:
    """What autograd keeps of one layer on this rank, up to the next layer's input."""
    outputs, rows, precision = length(strategy.outputs(layer)), strategy.kept_rows(layer, global_batch), strategy.precision
    if not outputs:
        return 0
    kept = _channels_read(strategy, layer) * (layer.input_size + layer.overhang) ** 2 * precision.activation.itemsize
    kept += _of_operations(strategy, layer, outputs, fused)
    if layer.is_last:
        kept += outputs * precision.parameter.itemsize
    return rows * kept


def _of_operations(strategy: Strategy, layer: Layer, outputs: int, fused: bool) -> int:
    towers = max(1, layer.towers * outputs // layer.out_channels)
    part, kept, given = Part(outputs, layer.output_size, towers, strategy.precision.activation.itemsize), 0, 0
    for operation in fuse(layer.then) if fused else layer.then:
        of = operation.kept(part)
        kept += of.beside + (part.bytes if of.reads and not given else 0)
        part = replace(part, size=operation.result_size(part.size))
        given = part.bytes if of.gives else 0
        kept += given
    return kept - (given if _read_as_it_is(strategy, layer) else 0)


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


def _buffers(strategy: Strategy) -> int:
    """Of tensors that operations bring and nobody trains: they lie where they are used."""
    held = (layer.buffers // layer.out_channels * length(strategy.outputs(layer)) for layer in strategy.layers)
    return sum(held) * strategy.precision.parameter.itemsize


def parameter_bytes(strategy: Strategy, placement: Callable[[Layer], Mapping[str, Placement]]) -> list[int]:
    """By layer, of the parameters that lie here under a placement."""
    held = (length(interval(layer.out_channels, placement(layer), strategy.mesh, strategy.coordinate)) for layer in strategy.layers)
    return [
        layer.parameters // layer.out_channels * channels * strategy.precision.parameter.itemsize
        for layer, channels in zip(strategy.layers, held, strict=True)
    ]
