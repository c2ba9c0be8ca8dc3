"""What ranks agree on at each step is known a step late, whole and in order, and nobody has waited for it."""

import pytest
import torch

from dist_alexnet.launch.agreement import Agreement
from dist_alexnet.launch.late_sum import LateSum
from dist_alexnet.parallel.world import World
from dist_alexnet.testing.ranks import run_on_ranks


def add_up(world: World) -> list[list[float] | None]:
    late = LateSum(Agreement(world, 60))
    heard = [late.begin(torch.tensor(10.0**step * (world.rank + 1)), step, world.rank) for step in range(3)]
    return [*heard, late.take(), late.take(), late.begin(torch.tensor(0.5), 0, 1), late.take()]


@pytest.mark.parametrize(("ranks", "times"), [(1, 1), (2, 3)])
def test_each_step_is_heard_of_once_and_a_step_late(ranks: int, times: int) -> None:
    others = sum(range(ranks))
    first, second, third = ([10.0**step * times, step * ranks, others] for step in range(3))
    assert run_on_ranks(ranks, add_up) == [[None, first, second, third, None, None, [0.5 * ranks, 0, ranks]]] * ranks


def wait_for_nobody(world: World) -> bool:
    """Rank 0 asks for a sum before the other has come, which it would otherwise wait for."""
    agreement, there = Agreement(world, 60), Agreement(world, 60)
    late = LateSum(agreement)
    if world.rank == 0:
        late.begin(torch.tensor(1.0))
    there.sum(1)  # rank 1 asks after rank 0 has been here
    if world.rank == 1:
        late.begin(torch.tensor(1.0))
    return late.take() == [2.0]


def test_asking_waits_for_nobody() -> None:
    assert run_on_ranks(2, wait_for_nobody) == [True, True]
