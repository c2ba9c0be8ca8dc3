"""The process groups of a mesh. Those that torch's `init_device_mesh` makes wait 30 minutes, whatever the default group was told."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh

from dist_alexnet.parallel.world import World


def connect_mesh(world: World, mesh: Mapping[str, int], timeout_s: float) -> DeviceMesh:
    """The DeviceMesh of a world of two ranks or more; every rank calls it.

    Args:
        world: this rank's; torch.distributed is up, with `timeout_s` for the default group.
        mesh: axis -> coordinates; the last axis varies fastest.
        timeout_s: a rank that waits longer than this for others of its groups fails.
    """
    ranks = torch.arange(world.world_size).reshape(*mesh.values())
    groups = [_group_along(ranks, dim, timedelta(seconds=timeout_s)) for dim in range(ranks.ndim)]
    return DeviceMesh.from_group(groups, world.device.type, ranks, mesh_dim_names=tuple(mesh))


def _group_along(ranks: Tensor, dim: int, timeout: timedelta) -> Any:
    """This rank's group along one dimension of the mesh."""
    if ranks.shape[dim] == ranks.numel():
        return dist.group.WORLD
    members = ranks.movedim(dim, -1).reshape(-1, ranks.shape[dim]).tolist()
    return dist.new_subgroups_by_enumeration(members, timeout=timeout)[0]
