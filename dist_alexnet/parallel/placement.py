"""Where the output channels of a layer live: the first of the two tables that describe a strategy.

Every weight splits on its output channels (dimension 0 of weight and bias), so that one interval per layer and rank says everything.
`Replicate` and `Shard` are torch's own and mean what they mean there; `Owner` is what DTensor cannot say: one rank has all of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch.distributed.tensor import Replicate, Shard

__all__ = ["Owner", "Placement", "Replicate", "Shard", "interval", "length"]


@dataclass(frozen=True)
class Owner:
    """The whole layer lies on one coordinate of a mesh axis (fc8 of 2012 lies on the first GPU)."""

    coordinate: int = 0


Placement = Replicate | Shard | Owner


def interval(size: int, placements: Mapping[str, Placement], mesh: Mapping[str, int], coordinate: Mapping[str, int]) -> slice:
    """The output channels of a layer that the rank at `coordinate` holds.

    Args:
        size: output channels of the layer.
        placements: mesh axis -> placement; an axis that is not named replicates.
        mesh: mesh axis -> number of coordinates, outermost first.
        coordinate: mesh axis -> this rank's coordinate.

    Returns:
        A slice with start and stop; empty where the rank holds nothing. Shards are cut as `torch.chunk` does (and so as DTensor does):
        all of ceil(size / parts) channels but the last ones, which are smaller or empty.
    """
    start, stop = 0, size
    for axis, parts in mesh.items():
        placement = placements.get(axis, Replicate())
        if isinstance(placement, Shard):
            if placement.dim != 0:
                raise ValueError(f"{placement} on axis {axis}: every weight splits on its output channels, Shard(0)")
            each = -(-(stop - start) // parts)
            start, stop = min(start + coordinate[axis] * each, stop), min(start + (coordinate[axis] + 1) * each, stop)
        elif isinstance(placement, Owner) and placement.coordinate != coordinate[axis]:
            stop = start
    return slice(start, stop)


def length(interval: slice) -> int:
    """Elements of a slice that has a start and a stop."""
    return int(interval.stop - interval.start)
