"""`launch.timeout_s` bounds every wait of a rank for the others, not only those in the default group."""

import time
from collections.abc import Callable

import pytest
import torch
import torch.distributed as dist

from dist_alexnet.launch.agreement import Agreement
from dist_alexnet.parallel.groups import connect_mesh
from dist_alexnet.parallel.world import World
from dist_alexnet.testing.ranks import run_on_ranks

TIMEOUT_S = 2


def wait_for_the_last_rank(world: World) -> float:
    """Seconds until this rank gives up waiting for rank 3, which sleeps: each rank in another of the groups that they share."""
    mesh = connect_mesh(world, {"data": 2, "tower": 2}, TIMEOUT_S)
    agreement = Agreement(world, TIMEOUT_S)
    agreement.sum(1.0)
    waits: list[Callable[[], object]] = [
        lambda: agreement.sum(1.0),
        lambda: dist.all_reduce(torch.ones(1), group=mesh.get_group("data")),
        lambda: dist.all_reduce(torch.ones(1), group=mesh.get_group("tower")),
        lambda: time.sleep(5 * TIMEOUT_S),
    ]
    started = time.monotonic()
    if world.rank == 3:
        waits[3]()
        return 0.0
    with pytest.raises(RuntimeError, match=r"(?i)timed out"):
        waits[world.rank]()
    return time.monotonic() - started


def test_no_wait_is_longer_than_the_timeout() -> None:
    waits = run_on_ranks(4, wait_for_the_last_rank)
    assert all(TIMEOUT_S - 0.5 <= seconds < 4 * TIMEOUT_S for seconds in waits[:3]), waits
