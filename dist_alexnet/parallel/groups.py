"""The process groups of a mesh. Those that torch's `init_device_mesh` makes wait 30 minutes, whatever the default group was told."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh

from dist_alexnet.parallel.world import World


def connect_mesh(world: World, mesh: Mapping[str, int], timeout_s: float) -> DeviceMesh | None:
    """The DeviceMesh of a world of two ranks or more; every rank that was started calls it, also one that is not of that world.

    Args:
        world: of the ranks of the mesh; torch.distributed is up, with `timeout_s` for the default group.
        mesh: axis -> coordinates; the last axis varies fastest.
        timeout_s: a rank that waits longer than this for others of its groups fails.
    """
    ranks = torch.arange(world.world_size).reshape(*mesh.values())
    groups = [_group_along(world, ranks, dim, timedelta(seconds=timeout_s)) for dim in range(ranks.ndim)]
    if world.rank >= world.world_size:
        return None
    return DeviceMesh.from_group(groups, world.device.type, ranks, mesh_dim_names=tuple(mesh))


def _group_along(world: World, ranks: Tensor, dim: int, timeout: timedelta) -> Any:
    """This rank's group along one dimension of the mesh."""
    if ranks.shape[dim] == ranks.numel():
        return world.group or dist.group.WORLD
    members = ranks.movedim(dim, -1).reshape(-1, ranks.shape[dim]).tolist()
    groups = [dist.new_group(group, timeout=timeout) for group in members]
    return next((group for group, ranks_of in zip(groups, members, strict=True) if world.rank in ranks_of), None)
