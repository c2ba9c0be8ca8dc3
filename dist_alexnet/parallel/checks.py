"""Can a layout work? What would only show as an idle rank or a wrong gradient is found here, without a process."""

import difflib
import itertools
from collections.abc import Callable, Mapping, Sequence

from dist_alexnet.config import TrainConfig
from dist_alexnet.model.layers import Layer
from dist_alexnet.parallel.exchanges.batch_to_model import BatchToModel
from dist_alexnet.parallel.exchanges.exchange import Exchange
from dist_alexnet.parallel.placement import Owner, Placement, Replicate, Shard


def lack_of_rows(train: TrainConfig, parts: int) -> str:
    """Why a global batch leaves some of the `parts` ranks that share its rows without a row per microbatch; empty if it does not."""
    rows = train.global_batch // parts
    if rows < 1:
        return (
            f"train.global_batch={train.global_batch} leaves nothing for some of the {parts} ranks that share its rows; "
            f"type -b {parts} or more, or fewer --gpus"
        )
    if rows < train.accumulation:
        return (
            f"train.accumulation={train.accumulation} cuts {rows} rows per rank into more microbatches than rows; "
            f"type train.accumulation={rows} or less"
        )
    return ""


def check_axes(
    layers: Sequence[Layer],
    mesh: Mapping[str, int],
    tables: Mapping[str, Callable[[Layer], Mapping[str, Placement]]],
    exchange: Callable[[Layer], Exchange | BatchToModel | None],
) -> None:
    """Refuse what names an axis that the mesh has not: a placement on it would replicate without a word.

    Args:
        layers: the network, in order.
        mesh: axis -> ranks.
        tables: what of a layer is placed -> where.
        exchange: of a layer's input.

    Raises:
        ValueError: names the layer, the axis and those that there are; for the author of a strategy.
    """
    there = ", ".join(f"{axis}={ranks}" for axis, ranks in mesh.items()) or "none"
    for layer in layers:
        joined = exchange(layer)
        named = [(f"{table} names", axis, place) for table, of in tables.items() for axis, place in of(layer).items()]
        for what, axis, place in [*named, *([(f"{type(joined).__name__} is over", joined.axis, None)] if joined else [])]:
            if axis not in mesh:
                close = "".join(f"; did you mean {name!r}?" for name in difflib.get_close_matches(axis, mesh, n=1))
                raise ValueError(f"{layer.name}: {what} the axis {axis!r}, but the axes of the mesh are: {there}{close}")
            if isinstance(place, Owner) and not 0 <= place.coordinate < mesh[axis]:
                raise ValueError(f"{layer.name}: {what} {place} on {axis}, which has {mesh[axis]} coordinates; nobody would hold it")


def check_tables(
    layers: Sequence[Layer],
    mesh: Mapping[str, int],
    placement: Callable[[Layer], Mapping[str, Placement]],
    exchange: Callable[[Layer], Exchange | BatchToModel | None],
) -> None:
    """Refuse tables under which a layer would read too little, or its input would get too much or too little gradient.

    Args:
        layers: the network, in order.
        mesh: axis -> ranks.
        placement: of a layer's output channels, by axis.
        exchange: of a layer's input.

    Raises:
        ValueError: names the layer, the axis and what is missing; for the author of a strategy.
    """
    for axis, ranks in mesh.items():
        for before, layer in itertools.pairwise(layers):
            if ranks > 1:
                joined = exchange(layer)
                if isinstance(joined, BatchToModel) and joined.axis == axis:
                    _check_rows(layer, before, axis, placement)
                    continue
                _check(layer, before, axis, ranks, placement, joined is not None and joined.axis == axis)


def _check(layer: Layer, before: Layer, axis: str, ranks: int, placement: Callable[[Layer], Mapping[str, Placement]], joined: bool) -> None:
    place, place_before = (placement(one).get(axis, Replicate()) for one in (layer, before))
    cut, cut_before = (not isinstance(one, Replicate) for one in (place, place_before))
    if isinstance(place, Owner) and place == place_before:
        return
    if joined and not cut_before:
        raise ValueError(f"{layer.name}: Exchange({axis!r}) has nothing to join, {before.name} is replicated over {axis}")
    if joined and not cut:
        raise ValueError(
            f"{layer.name} is replicated over {axis} and reads an Exchange({axis!r}): its {ranks} ranks would do the same with the joined "
            f"input, and the gradient would come out {ranks} times too large; shard it too"
        )
    if joined and layer.groups > 1 and isinstance(place, Shard):
        raise ValueError(
            f"{layer.name} keeps {layer.groups} towers apart, and reads an Exchange({axis!r}) of all channels; drop the exchange"
        )
    if cut_before and not joined and (not cut or layer.groups % ranks):
        raise ValueError(
            f"{layer.name} reads all channels of {before.name}, of which a rank of {axis} has some; give it Exchange({axis!r})"
        )
    if cut and not cut_before:
        raise ValueError(
            f"{layer.name} is split over {axis} and {before.name} is not: each rank would have a part of the gradient of {before.name}; "
            f"split {before.name} too"
        )


def _check_rows(layer: Layer, before: Layer, axis: str, placement: Callable[[Layer], Mapping[str, Placement]]) -> None:
    cut, cut_before = (not isinstance(placement(one).get(axis, Replicate()), Replicate) for one in (layer, before))
    if cut_before:
        raise ValueError(f"{layer.name}: BatchToModel({axis!r}) joins rows, but {before.name} is split over {axis} by channels")
    if not cut:
        raise ValueError(f"{layer.name} is replicated over {axis} and reads all rows: its ranks would all do the same; shard it")
