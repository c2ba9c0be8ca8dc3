"""What a rank asks of a node, and how many ranks a cluster has room for. Plain numbers, no Ray."""

from collections.abc import Iterable, Mapping

Resources = Mapping[str, float]  # as Ray counts them: "CPU", "GPU"


def resources_per_rank(device: str) -> dict[str, float]:
    """One CPU slot each, and one GPU on "cuda"."""
    return {"CPU": 1, "GPU": 1} if device == "cuda" else {"CPU": 1}


def room(nodes: Iterable[Resources], rank: Resources) -> int:
    """Ranks that fit on nodes, each rank whole on one node: a slot on one and a GPU on another make no rank."""
    return sum(min(int(node.get(name, 0) // amount) for name, amount in rank.items()) for node in nodes)


def total(nodes: Iterable[Resources], rank: Resources) -> str:
    """What nodes have of everything that a rank asks for, in words."""
    nodes = list(nodes)
    return ", ".join(f"{sum(node.get(name, 0) for node in nodes):g} {name}" for name in rank)
