"""`launch.timeout_s` bounds every wait of a rank for the others, not only those in the default group."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from dist_alexnet.launch.agreement import Agreement
from dist_alexnet.parallel.groups import connect_mesh
from dist_alexnet.parallel.world import World
from dist_alexnet.testing.ranks import run_on_ranks

TIMEOUT_S = 2  # far less than that of the default group


def wait_for_the_last_rank(world: World, folder: Path) -> None:
    """Each rank waits for rank 3 in another of the groups that they share; it comes when all have given up."""
    mesh = connect_mesh(world, {"data": 2, "tower": 2}, TIMEOUT_S)
    agreement = Agreement(world, TIMEOUT_S)
    agreement.sum(1.0)
    waits: list[Callable[[], object]] = [
        lambda: agreement.sum(1.0),
        lambda: dist.all_reduce(torch.ones(1), group=mesh.get_group("data")),
        lambda: dist.all_reduce(torch.ones(1), group=mesh.get_group("tower")),
    ]
    if world.rank < 3:
        with pytest.raises(RuntimeError, match=rf"(?i)timed out.* {1000 * TIMEOUT_S}ms"):
            waits[world.rank]()
        (folder / str(world.rank)).touch()
    while len(list(folder.iterdir())) < 3:
        time.sleep(0.05)


def test_no_wait_is_longer_than_the_timeout(tmp_path: Path) -> None:
    run_on_ranks(4, wait_for_the_last_rank, tmp_path)
