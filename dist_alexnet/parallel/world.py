"""Which of the ranks this process is, and nothing about how it came to be started."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch


@dataclass(frozen=True)
class World:
    """One rank among `world_size`. A World without processes serves `explain`, which looks at ranks that nobody started."""

    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    nodes: tuple[str, ...] = ()  # name of the node of each rank; empty where no process has asked
    group: Any = field(default=None, compare=False)  # the process group of these ranks, where more than these were started

    @staticmethod
    def from_environment(device: str, share_device: bool = False) -> "World":
        """The world that torchrun's variables describe (RANK, WORLD_SIZE, LOCAL_RANK).

        Args:
            device: "cpu" or "cuda".
            share_device: ranks of a node may share its devices.
        """
        rank, world_size, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
        if device == "cpu":
            return World(rank, world_size)
        return World(rank, world_size, torch.device("cuda", local % torch.cuda.device_count() if share_device else local))

    @property
    def ranks_on_node(self) -> int:
        """Ranks on the node of this one; all of them where no process has asked."""
        return self.nodes.count(self.nodes[self.rank]) if self.nodes else self.world_size

    def first(self, world_size: int, group: Any) -> "World":
        """The world of the first ranks of this one alone, of which this rank may be one."""
        return replace(self, world_size=world_size, nodes=self.nodes[:world_size], group=group)

    def divided_groups(self, size: int) -> str:
        """If a group of `size` neighbouring ranks spans two nodes: where each rank is, in words; empty if none does, or nobody knows."""
        if all(node == self.nodes[rank - rank % size] for rank, node in enumerate(self.nodes)):
            return ""
        return ", ".join(f"{rank}: {node}" for rank, node in enumerate(self.nodes))


def coordinates(rank: int, mesh: Mapping[str, int]) -> dict[str, int]:
    """Coordinate of a rank on each axis of a mesh; the last axis varies fastest, as in `init_device_mesh`."""
    place = {}
    for axis, parts in reversed(list(mesh.items())):
        rank, place[axis] = divmod(rank, parts)
    return {axis: place[axis] for axis in mesh}


def split_rows(rows: int, parts: int, part: int) -> slice:
    """The rows that `part` of `parts` takes: contiguous, the first ones one row longer where `rows` does not divide evenly."""
    each, rest = divmod(rows, parts)
    start = part * each + min(part, rest)
    return slice(start, start + each + (part < rest))


def mesh_size(mesh: Mapping[str, int]) -> int:
    """Ranks in a mesh."""
    return math.prod(mesh.values())
