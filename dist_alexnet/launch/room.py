"""How many ranks go where, in numbers and in words: no launcher, no strategy."""

from collections.abc import Callable, Iterable, Sequence

Rooms = Sequence[int]  # ranks that each node has room for


def fitting(rooms: Rooms, most: int, together: int = 1) -> int:
    """Ranks that fit, `most` at most, where so many neighbours share a node."""
    return min(sum(room // together for room in rooms), most // together) * together


def largest(sizes: Iterable[int], rooms: Rooms, together: Callable[[int], int]) -> int:
    """The largest of these world sizes that fits; 0: none does. `together`: neighbours that share a node, by world size."""
    return max((size for size in sizes if fitting(rooms, size, together(size)) == size), default=0)


def in_words(nodes: Sequence[str]) -> str:
    """Which ranks are on which node, as "0-3 on a, 4-7 on b"; `nodes` by rank."""
    spans: list[tuple[int, int, str]] = []
    for rank, name in enumerate(nodes):
        first = spans.pop()[0] if spans and spans[-1][2] == name else rank
        spans.append((first, rank, name))
    return ", ".join(f"{first if first == last else f'{first}-{last}'} on {name}" for first, last, name in spans)
