"""What follows, without a process, from what a strategy says: any rank of any world can be looked at. Nothing here is to be overridden."""

import math
from abc import ABC
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from typing import Any, Self, final

from dist_alexnet.config import Config, UsageError
from dist_alexnet.model.layers import Layer
from dist_alexnet.model.networks.alexnet import describe
from dist_alexnet.model.precision import Precision, precision_of
from dist_alexnet.parallel.checks import check_axes, check_tables, lack_of_rows
from dist_alexnet.parallel.placement import Owner, Shard, interval, length
from dist_alexnet.parallel.statement import Statement
from dist_alexnet.parallel.world import World, coordinates, mesh_size, split_rows
from dist_alexnet.resolve import parse_options

MOST_BY_ITSELF = 64  # ranks that are started where nobody has said how many


class Tables(Statement, ABC):
    """Who holds and does what."""

    # ------------------------------------------------------------------ which world sizes are served, by configuration alone

    @classmethod
    @final
    def options_of(cls, config: Config) -> Any:
        """The options of a configuration, as the class `Options` (UsageError: they are not this strategy's)."""
        return parse_options(cls.name, cls.Options, config.strategy.options)

    @classmethod
    @final
    def why_not(cls, config: Config, world_size: int) -> str:
        """Why this many ranks cannot run a configuration, and what to type instead; empty where they can. Raises nothing."""
        try:
            cls.options_of(config)
        except UsageError as error:
            return str(error)
        if reason := cls.refuses(config, world_size):
            return reason
        mesh = cls.axes(config, world_size)
        return lack_of_rows(config.train, math.prod(mesh.get(axis, 1) for axis in cls.row_axes))

    @classmethod
    @final
    def world_sizes(cls, config: Config, least: int, most: int) -> list[int]:
        """Which numbers of ranks from `least` to `most` can run a configuration, in order."""
        return [ranks for ranks in range(least, most + 1) if not cls.why_not(config, ranks)]

    @classmethod
    @final
    def together(cls, config: Config, world_size: int) -> int:
        """So many neighbouring ranks share a node; 1 in a world that is not served."""
        mesh = {} if cls.why_not(config, world_size) else cls.axes(config, world_size)
        return math.prod(mesh.get(axis, 1) for axis in cls.node_axes)

    @classmethod
    @final
    def ranks_of(cls, config: Config) -> int:
        """How many ranks a configuration asks for; where it leaves that open, `default_ranks` or the next larger number that is served."""
        by_itself = (ranks for ranks in range(cls.default_ranks, MOST_BY_ITSELF + 1) if not cls.why_not(config, ranks))
        return config.launch.workers or next(by_itself, cls.default_ranks)

    # ------------------------------------------------------------------ one rank

    def __init__(self, config: Config, world: World) -> None:
        """Lay out one rank. Does not communicate, so that any rank of any world can be looked at.

        Raises:
            UsageError: the world size, the batch, the options or the model do not fit this strategy.
            ValueError: its tables cannot work; for its author.
        """
        self.config, self.world = config, world
        self.options = self.options_of(config)
        if reason := self.why_not(config, world.world_size):
            raise UsageError(reason)
        self.mesh = dict(self.axes(config, world.world_size))
        if mesh_size(self.mesh) != world.world_size:
            raise ValueError(f"{self.name}: mesh {self.mesh} has not {world.world_size} ranks")
        self.coordinate = coordinates(world.rank, self.mesh)
        self.layers = describe(config.model)
        self.first, self.last = self.layers[0], self.layers[-1]
        self.first_linear = next(layer for layer in self.layers if layer.kind == "linear")
        self._seen: dict[tuple[object, ...], list[int]] = {}
        self.validate()
        placed = {"placement": self.placement, "stored": self.stored, "momentum": self.momentum}
        check_axes(self.layers, self.mesh, placed, self.exchange)
        check_tables(self.layers, self.mesh, self.placement, self.exchange)

    @final
    def at(self, rank: int) -> Self:
        """The same as another rank sees it: to look at, not to connect. What a thousand ranks would each check again is checked already."""
        other = copy(self)
        other.world = replace(self.world, rank=rank)
        other.coordinate = coordinates(rank, self.mesh)
        return other

    @final
    def rows(self, rows: int) -> slice:
        """Which of the rows of a global batch this rank loads."""
        return split_rows(rows, *self._row_parts(self.coordinate))

    @final
    def rows_along(self, axis: str, rows: int) -> list[int]:
        """How many rows of a global batch each coordinate of an axis loads, the other coordinates being this rank's."""
        return self._along(axis, lambda there: length(split_rows(rows, *self._row_parts(there))), "rows", rows)

    @property
    @final
    def speaks_for_its_rows(self) -> bool:
        """True on exactly one of the ranks that compute the same rows, which has their scores: its loss and errors count."""
        speakers = {axis: place.coordinate for axis, place in self.placement(self.last).items() if isinstance(place, Owner)}
        return all(place == speakers.get(axis, 0) for axis, place in self.coordinate.items() if axis not in self.row_axes)

    @final
    def outputs(self, layer: Layer) -> slice:
        """The output channels of a layer that this rank holds."""
        return self._outputs_at(layer, self.coordinate)

    @final
    def shard_sizes(self, layer: Layer, axis: str) -> list[int]:
        """Output channels of a layer that each coordinate of an axis holds."""
        return self._along(axis, lambda there: length(self._outputs_at(layer, there)), "channels", layer.name)

    @final
    def loss_axis(self) -> str | None:
        """The axis over which the classes are spread, if there is one."""
        placements = self.placement(self.last).items()
        return next((axis for axis, placement in placements if isinstance(placement, Shard) and self.mesh[axis] > 1), None)

    @property
    @final
    def precision(self) -> Precision:
        """Types of parameters, activations and gradients."""
        return precision_of(self.config.train)

    @final
    def _along(self, axis: str, measure: Callable[[Mapping[str, int]], int], *what: object) -> list[int]:
        """`measure` at each coordinate of an axis, the others being this rank's; the ranks of an axis all ask for the same list."""
        key = (*what, axis, *(place for other, place in self.coordinate.items() if other != axis))
        if key not in self._seen:
            self._seen[key] = [measure({**self.coordinate, axis: place}) for place in range(self.mesh[axis])]
        return self._seen[key]

    @final
    def _outputs_at(self, layer: Layer, coordinate: Mapping[str, int]) -> slice:
        return interval(layer.out_channels, self.placement(layer), self.mesh, coordinate)

    @final
    def _row_parts(self, coordinate: Mapping[str, int]) -> tuple[int, int]:
        """Into how many parts the rows are cut, and which of them is at a coordinate."""
        parts, part = 1, 0
        for axis in self.row_axes:
            size = self.mesh.get(axis, 1)
            parts, part = parts * size, part * size + coordinate.get(axis, 0)
        return parts, part
