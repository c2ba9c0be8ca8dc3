"""What a rank asks of a node, how many ranks a cluster has room for, and which of them go where. Plain numbers, no Ray."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Resources = Mapping[str, float]  # as Ray counts them: "CPU", "GPU"


@dataclass(frozen=True)
class Node:
    """One machine of a cluster."""

    id: str
    name: str  # for people
    address: tuple[str, int]  # where its raylet listens
    total: Resources
    free: Resources = field(default_factory=dict)
    leaving: bool = False  # it is being drained: nothing new is started there


def resources_per_rank(device: str, gpus: float = 1.0) -> dict[str, float]:
    """One CPU slot each, and one GPU on "cuda", or that part of one."""
    return {"CPU": 1, "GPU": gpus} if device == "cuda" else {"CPU": 1}


def gpus_per_rank(devices: int, ranks: int, share: bool) -> float:
    """Part of a GPU that each rank gets: one, or less where they share, rounded down to what Ray can count."""
    return math.floor(1e4 / math.ceil(ranks / max(devices, 1))) / 1e4 if share else 1.0


def rooms(nodes: Iterable[Resources], rank: Resources) -> list[int]:
    """Ranks that fit on each node, each of them whole: a slot on one node and a GPU on another make no rank."""
    return [min(_fitting(node.get(name, 0), amount) for name, amount in rank.items()) for node in nodes]


def rooms_beside_others(nodes: Iterable[Node], rank: Resources, ours: Mapping[str, int]) -> list[int]:
    """Ranks that each node has room for, ours included, of which so many run on the node with this id.

    Ray takes off what they hold a little after they have been started: what is free and what is ours may be more than there is.
    """
    there = list(nodes)
    free, whole = rooms([node.free for node in there], rank), rooms([node.total for node in there], rank)
    return [min(room + ours.get(node.id, 0), most) for node, room, most in zip(there, free, whole, strict=True)]


def place(nodes: Iterable[Node], ranks: int, rank: Resources, together: int = 1) -> list[Node]:
    """The node of each rank, by rank: the largest free place first, neighbours beside each other.

    Args:
        nodes: as they are now; what is free on them is given out, and nothing on those that are leaving.
        ranks: how many are wanted.
        rank: what each of them asks for.
        together: so many neighbours share a node: a pair of towers, say.

    Returns:
        As many as there is room for, a multiple of `together`, and `ranks` at most.
    """
    staying = [node for node in nodes if not node.leaving]
    there = zip(staying, rooms([node.free for node in staying], rank), strict=True)
    placed: list[Node] = []
    for node, room in sorted(there, key=lambda found: (-found[1], found[0].name)):
        placed += [node] * (min(room, ranks - len(placed)) // together * together)
    return placed


def total(nodes: Iterable[Resources], rank: Resources) -> str:
    """What nodes have of everything that a rank asks for, in words."""
    nodes = list(nodes)
    return ", ".join(f"{sum(node.get(name, 0) for node in nodes):g} {name}" for name in rank)


def _fitting(there: float, amount: float) -> int:
    """Parts of one thing fit into each thing, and not across two."""
    return int(there // amount) if amount >= 1 else int(there) * int(1 // amount)
