"""What a rank asks of a node, and how many ranks a cluster has room for. Plain numbers, no Ray."""

import math
from collections.abc import Iterable, Mapping

Resources = Mapping[str, float]  # as Ray counts them: "CPU", "GPU"


def resources_per_rank(device: str, gpus: float = 1.0) -> dict[str, float]:
    """One CPU slot each, and one GPU on "cuda", or that part of one."""
    return {"CPU": 1, "GPU": gpus} if device == "cuda" else {"CPU": 1}


def gpus_per_rank(devices: int, ranks: int, share: bool) -> float:
    """Part of a GPU that each rank gets: one, or less where they share, rounded down to what Ray can count."""
    return math.floor(1e4 / math.ceil(ranks / max(devices, 1))) / 1e4 if share else 1.0


def room(nodes: Iterable[Resources], rank: Resources) -> int:
    """Ranks that fit on nodes, each rank whole on one node: a slot on one and a GPU on another make no rank."""
    return sum(min(_fitting(node.get(name, 0), amount) for name, amount in rank.items()) for node in nodes)


def total(nodes: Iterable[Resources], rank: Resources) -> str:
    """What nodes have of everything that a rank asks for, in words."""
    nodes = list(nodes)
    return ", ".join(f"{sum(node.get(name, 0) for node in nodes):g} {name}" for name in rank)


def _fitting(there: float, amount: float) -> int:
    """Parts of one thing fit into each thing, and not across two."""
    return int(there // amount) if amount >= 1 else int(there) * int(1 // amount)
