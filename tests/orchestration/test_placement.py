import pytest

from cluster.placement import gpus_per_rank, resources_per_rank, room, total

CUDA, CPU = resources_per_rank("cuda"), resources_per_rank("cpu")


@pytest.mark.parametrize(
    ("nodes", "rank", "fitting"),
    [
        ([], CPU, 0),
        ([{"CPU": 2}, {"CPU": 3.5}], CPU, 5),
        ([{"CPU": 8, "GPU": 2}, {"CPU": 8, "GPU": 4}], CUDA, 6),
        ([{"CPU": 1, "GPU": 4}], CUDA, 1),
        ([{"CPU": 8}, {"GPU": 8}], CUDA, 0),  # a slot on one node and a GPU on another make no rank
    ],
)
def test_room_counts_whole_ranks_per_node(nodes, rank, fitting):
    assert room(nodes, rank) == fitting


def test_total_names_what_a_rank_asks_for():
    assert total([{"CPU": 8, "GPU": 2, "memory": 1e9}, {"CPU": 4}], CUDA) == "12 CPU, 2 GPU"


@pytest.mark.parametrize(
    ("devices", "ranks", "share", "expected"),
    [(2, 4, True, 0.5), (1, 3, True, 0.3333), (4, 2, True, 1.0), (2, 3, True, 0.5), (2, 4, False, 1.0)],
)
def test_ranks_that_share_devices_ask_for_parts(devices, ranks, share, expected):
    assert gpus_per_rank(devices, ranks, share) == expected


def test_parts_of_a_device_lie_on_one():
    assert room([{"CPU": 8, "GPU": 2}], resources_per_rank("cuda", 0.6666)) == 2
    assert room([{"CPU": 8, "GPU": 2}], resources_per_rank("cuda", 0.3333)) == 6
