"""Sums over whole tensors, of which each rank updates some rows: what a rule needs that scales a step by the norm of a weight.

    rank 0   sum of squares of rows 0..  of fc6, of fc7, ...  \
    rank 1   sum of squares of rows n..  of fc6, of fc7, ...  -  one all-reduce  -  the same numbers of the whole tensors, on all ranks

The rows are those whose momentum lies here: there a parameter is updated. Ranks that hold the same rows do not add up, and a parameter
that lies on one rank alone is whole there already.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from dist_alexnet.config import Config
from dist_alexnet.model.layers import Layer, parameter_shapes
from dist_alexnet.model.precision import Precision
from dist_alexnet.parallel.exchanges.exchange import Channel
from dist_alexnet.parallel.exchanges.traffic import Collective, all_reduce_bytes
from dist_alexnet.parallel.placement import Placement, Shard
from dist_alexnet.parallel.world import World

NAME = "sums"  # in the traffic of a step


class Placed(Protocol):
    """What is asked of a strategy; `Strategy` has it, and says what each is."""

    config: Config
    world: World
    mesh: dict[str, int]
    layers: tuple[Layer, ...]

    @property
    def precision(self) -> Precision:
        """Types of parameters, activations and gradients."""

    def momentum(self, layer: Layer) -> Mapping[str, Placement]:
        """Where the momentum of a layer is kept."""

    def channel(self, axis: str) -> Channel:
        """This rank's place on an axis."""


class WholeSums:
    """Adds up numbers over the axes on which a parameter is cut into rows: one message for all parameters, and each axis that cuts some.

    A strategy makes one of itself and hands it to the rule (`Sums` in `update/rule.py`).
    """

    def __init__(self, strategy: Placed, numbers: int = 1) -> None:
        """Plan the messages; needs no process.

        Args:
            strategy: connected by the time the sums are asked for.
            numbers: of each parameter: 2 for the norm of a weight and of its gradient.
        """
        self._strategy, self._numbers = strategy, numbers
        self._names = {name: _cut_over(layer, strategy) for layer in strategy.layers for name in parameter_shapes([layer])}

    def __call__(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The sums over whole tensors; all ranks of the strategy call it together, also one without a row of anything.

        Args:
            values: canonical name -> [numbers] about the rows that this rank updates; what it has no row of is left out, and so may be what
                nobody asks for.

        Returns:
            The same names -> [numbers] about the whole tensor, the same bits on every rank that shares it.

        Raises:
            ValueError: a name that no parameter has, or other than `numbers` numbers.
        """
        for name, value in values.items():
            if name not in self._names:
                raise ValueError(f"{name}: no parameter of that name; there are {', '.join(self._names)}")
            if value.shape != (self._numbers,):
                raise ValueError(f"{name}: needs {self._numbers} numbers, got shape {list(value.shape)}")
        sums = dict(values)
        for axis, names in self._messages():
            empty = torch.zeros(self._numbers, dtype=self._strategy.precision.parameter, device=self._strategy.world.device)
            message = torch.stack([sums.get(name, empty) for name in names])
            self._add_up(message, self._strategy.channel(axis))
            sums |= {name: total for name, total in zip(names, message, strict=True) if name in values}
        return sums

    def collectives(self) -> Iterator[Collective]:
        """What one call sends, for a strategy whose rule calls it to say so in its own `collectives`."""
        for axis, names in self._messages():
            sent = all_reduce_bytes(len(names) * self._numbers * self._strategy.precision.parameter.itemsize, self._strategy.mesh[axis])
            yield Collective(NAME, "all-reduce", "backward", (axis,), sent)

    def _messages(self) -> Iterator[tuple[str, list[str]]]:
        for axis in self._strategy.mesh:
            if names := [name for name, axes in self._names.items() if axis in axes]:
                yield axis, names

    def _add_up(self, message: Tensor, channel: Channel) -> None:
        channel.traffic.add(NAME, "backward", all_reduce_bytes(message.nbytes, channel.size))
        with channel.exposed(NAME):
            dist.all_reduce(message, group=channel.group)


def _cut_over(layer: Layer, strategy: Placed) -> tuple[str, ...]:
    """Axes of two ranks or more that share the rows of a layer among them."""
    placed = strategy.momentum(layer)
    return tuple(axis for axis, ranks in strategy.mesh.items() if ranks > 1 and isinstance(placed.get(axis), Shard))
