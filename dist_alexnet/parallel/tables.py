"""The pure half of a strategy: what it says about itself, and what follows from that without a process. See `strategy.py`."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch

from dist_alexnet.config import Config
from dist_alexnet.model.layers import Layer
from dist_alexnet.model.networks.alexnet import describe
from dist_alexnet.parallel.checks import check_axes, check_batch, check_tables
from dist_alexnet.parallel.exchanges.batch_to_model import BatchToModel
from dist_alexnet.parallel.exchanges.exchange import Exchange, Wire
from dist_alexnet.parallel.exchanges.traffic import Collective, Traffic
from dist_alexnet.parallel.placement import Placement, Shard, interval, length
from dist_alexnet.parallel.predict import collectives
from dist_alexnet.parallel.world import World, coordinates, mesh_size, split_rows
from dist_alexnet.resolve import parse_options

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class NoOptions:
    """For a strategy without options of its own."""


class Tables(ABC):
    """Who holds and does what. Needs no process: any rank of any world can be looked at."""

    name: ClassVar[str]  # = file name = entry point = config value = metric label
    default_ranks: ClassVar[int] = 2  # where nobody says how many
    Options: ClassVar[type] = NoOptions  # frozen dataclass: the fields of `strategy.options`, so that typos fail
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)  # options under which `verify` runs it
    gradient_wire: Wire = "full"  # how gradients travel that are summed over ranks
    row_axes: ClassVar[tuple[str, ...]] = ("data",)  # mesh axes over which the rows of a batch are split

    # ------------------------------------------------------------------ what a strategy says about itself

    @abstractmethod
    def axes(self, world_size: int) -> Mapping[str, int]:
        """Mesh of a world: axis -> coordinates, outermost first; their product is the world size. `self.options` may say more.

        Raises:
            UsageError: the strategy cannot serve this many ranks; says which it can, and what to use instead.
        """

    def validate(self) -> None:
        """Refuse what the strategy cannot do with `self.config`, before a process or a GPU is asked for (UsageError)."""

    def placement(self, layer: Layer) -> Mapping[str, Placement]:
        """Where the output channels of a layer live: mesh axis -> placement. An axis that is not named replicates."""
        return {}

    def stored(self, layer: Layer) -> Mapping[str, Placement]:
        """Where the weights of a layer are kept between steps: where they are used, but for a strategy that gathers them first."""
        return self.placement(layer)

    def momentum(self, layer: Layer) -> Mapping[str, Placement]:
        """Where the momentum of a layer is kept: with the weights, but for a strategy that shares out their update."""
        return self.stored(layer)

    def exchange(self, layer: Layer) -> Exchange | BatchToModel | None:
        """What happens to the input of a layer before the layer reads it; its adjoint happens to the gradient."""
        return None

    # ------------------------------------------------------------------ what follows from it, without a process

    def __init__(self, config: Config, world: World) -> None:
        """Lay out one rank. Does not communicate, so that any rank of any world can be looked at.

        Raises:
            UsageError: the world size, the batch, the options or the model do not fit this strategy.
        """
        self.config, self.world = config, world
        self.options = parse_options(self.name, self.Options, config.strategy.options)
        self.mesh = dict(self.axes(world.world_size))
        if mesh_size(self.mesh) != world.world_size:
            raise ValueError(f"{self.name}: mesh {self.mesh} has not {world.world_size} ranks")
        self.coordinate = coordinates(world.rank, self.mesh)
        self.layers = describe(config.model)
        self._seen: dict[tuple[object, ...], list[int]] = {}
        check_batch(config.train, self._row_parts(self.coordinate)[0])
        self.validate()
        placed = {"placement": self.placement, "stored": self.stored, "momentum": self.momentum}
        check_axes(self.layers, self.mesh, placed, self.exchange)
        check_tables(self.layers, self.mesh, self.placement, self.exchange)

    def at(self, rank: int) -> Self:
        """The same as another rank sees it: to look at, not to connect. What a thousand ranks would each check again is checked already."""
        other = copy(self)
        other.world = replace(self.world, rank=rank)
        other.coordinate = coordinates(rank, self.mesh)
        return other

    def rows(self, rows: int) -> slice:
        """Which of the rows of a global batch this rank loads."""
        return split_rows(rows, *self._row_parts(self.coordinate))

    @property
    def microbatches(self) -> int:
        """Into which this rank's rows of a step are cut."""
        return self.config.train.accumulation

    def computed_rows(self, global_batch: int) -> int:
        """How many rows this rank computes, those included that only fill up."""
        return length(self.rows(global_batch))

    def kept_rows(self, layer: Layer, global_batch: int) -> int:
        """Rows whose activations in a layer this rank keeps at once for the backward pass: a microbatch's; an override may say more."""
        return -(-self.computed_rows(global_batch) // self.microbatches)

    @property
    def gathered_layers(self) -> int:
        """How many neighbouring layers are whole at once where weights are stored in shards: one at work, one on its way."""
        return 2

    def rows_along(self, axis: str, rows: int) -> list[int]:
        """How many rows of a global batch each coordinate of an axis loads, the other coordinates being this rank's."""
        return self._along(axis, lambda there: length(split_rows(rows, *self._row_parts(there))), "rows", rows)

    @property
    def speaks_for_its_rows(self) -> bool:
        """True on exactly one of the ranks that compute the same rows: the one whose loss and errors count."""
        return all(place == 0 for axis, place in self.coordinate.items() if axis not in self.row_axes)

    def outputs(self, layer: Layer) -> slice:
        """The output channels of a layer that this rank holds."""
        return self._outputs_at(layer, self.coordinate)

    def collectives(self, global_batch: int) -> Iterable[Collective]:
        """What this rank sends in one optimizer step, in order, after the tables; a strategy that sends other things says so here."""
        return collectives(self, global_batch)

    def predict_traffic(self, global_batch: int) -> Traffic:
        """Bytes that this rank sends in one optimizer step."""
        traffic = Traffic()
        for collective in self.collectives(global_batch):
            traffic.add(collective.name, collective.direction, collective.sent)
        return traffic

    def loss_axis(self) -> str | None:
        """The axis over which the classes are spread, if there is one."""
        placements = self.placement(self.layers[-1]).items()
        return next((axis for axis, placement in placements if isinstance(placement, Shard) and self.mesh[axis] > 1), None)

    def shard_sizes(self, layer: Layer, axis: str) -> list[int]:
        """Output channels of a layer that each coordinate of an axis holds."""
        return self._along(axis, lambda there: length(self._outputs_at(layer, there)), "channels", layer.name)

    def _along(self, axis: str, measure: Callable[[Mapping[str, int]], int], *what: object) -> list[int]:
        """`measure` at each coordinate of an axis, the others being this rank's; the ranks of an axis all ask for the same list."""
        key = (*what, axis, *(place for other, place in self.coordinate.items() if other != axis))
        if key not in self._seen:
            self._seen[key] = [measure({**self.coordinate, axis: place}) for place in range(self.mesh[axis])]
        return self._seen[key]

    @property
    def item_bytes(self) -> int:
        """Bytes of a number as it is computed."""
        return DTYPES[self.config.train.dtype].itemsize

    def _outputs_at(self, layer: Layer, coordinate: Mapping[str, int]) -> slice:
        return interval(layer.out_channels, self.placement(layer), self.mesh, coordinate)

    def _row_parts(self, coordinate: Mapping[str, int]) -> tuple[int, int]:
        """Into how many parts the rows are cut, and which of them is at a coordinate."""
        parts, part = 1, 0
        for axis in self.row_axes:
            size = self.mesh.get(axis, 1)
            parts, part = parts * size, part * size + coordinate.get(axis, 0)
        return parts, part
