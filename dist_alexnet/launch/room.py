"""How many ranks go where, in numbers: no launcher, no strategy."""

from collections.abc import Callable, Iterable, Sequence

Rooms = Sequence[int]  # ranks that each node has room for


def fitting(rooms: Rooms, most: int, together: int = 1) -> int:
    """Ranks that fit, `most` at most, where so many neighbours share a node."""
    return min(sum(room // together for room in rooms), most // together) * together


def largest(sizes: Iterable[int], rooms: Rooms, together: Callable[[int], int]) -> int:
    """The largest of these world sizes that fits; 0: none does. `together`: neighbours that share a node, by world size."""
    return max((size for size in sizes if fitting(rooms, size, together(size)) == size), default=0)
