"""How many threads a rank takes is decided on its node, where it is known how many cores there are and who shares them."""

from dataclasses import replace

import pytest

from dist_alexnet.config import Config, DataConfig, LaunchConfig
from dist_alexnet.launch import rank
from dist_alexnet.launch.rank import settle_threads
from dist_alexnet.parallel.world import World


@pytest.mark.parametrize(
    ("nodes", "launch", "data", "expected"),
    [
        ((), LaunchConfig(), DataConfig(), (3, 1)),  # nobody has asked: all here
        (("a", "a", "b", "a"), LaunchConfig(), DataConfig(), (4, 1)),  # three ranks on this node
        (("a", "b", "c", "d"), LaunchConfig(device="cuda"), DataConfig(), (12, 12)),  # DALI's hands are free beside a GPU
        (("a", "a", "b", "a"), LaunchConfig(threads=5, device="cuda"), DataConfig(threads=2), (5, 2)),
    ],
)
def test_the_cores_of_the_node_are_shared_by_the_ranks_there(
    monkeypatch: pytest.MonkeyPatch, nodes: tuple[str, ...], launch: LaunchConfig, data: DataConfig, expected: tuple[int, int]
) -> None:
    monkeypatch.setattr(rank, "share_of_cores", lambda processes: 12 // processes)
    config = settle_threads(Config(launch=launch, data=data), replace(World(0, 4), nodes=nodes))
    assert (config.launch.threads, config.data.threads) == expected
