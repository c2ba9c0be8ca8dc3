import pytest

from cluster.placement import Node, gpus_per_rank, place, resources_per_rank, rooms, rooms_beside_others, total

NOWHERE = ("127.0.0.1", 0)
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
    assert sum(rooms(nodes, rank)) == fitting


def test_what_ours_hold_is_not_free_besides():
    """A run on the rest of a cluster, just started, saw room for twice as many as there was, and was stopped to grow."""
    before, after = (Node("a", "a", NOWHERE, {"CPU": 2}, {"CPU": free}, False) for free in (2, 0))
    assert rooms_beside_others([before], CPU, {"a": 2}) == rooms_beside_others([after], CPU, {"a": 2}) == [2]
    assert rooms_beside_others([Node("b", "b", NOWHERE, {"CPU": 4}, {"CPU": 1}, False)], CPU, {"a": 2, "b": 2}) == [3]


def test_total_names_what_a_rank_asks_for():
    assert total([{"CPU": 8, "GPU": 2, "memory": 1e9}, {"CPU": 4}], CUDA) == "12 CPU, 2 GPU"


@pytest.mark.parametrize(
    ("devices", "ranks", "share", "expected"),
    [(2, 4, True, 0.5), (1, 3, True, 0.3333), (4, 2, True, 1.0), (2, 3, True, 0.5), (2, 4, False, 1.0)],
)
def test_ranks_that_share_devices_ask_for_parts(devices, ranks, share, expected):
    assert gpus_per_rank(devices, ranks, share) == expected


def test_parts_of_a_device_lie_on_one():
    assert rooms([{"CPU": 8, "GPU": 2}], resources_per_rank("cuda", 0.6666)) == [2]
    assert rooms([{"CPU": 8, "GPU": 2}], resources_per_rank("cuda", 0.3333)) == [6]


@pytest.mark.parametrize(
    ("free", "ranks", "together", "placed"),
    [
        ((3, 3), 4, 1, "aaab"),
        ((3, 3), 4, 2, "aabb"),  # packing alone would part the second pair
        ((1, 2, 4), 6, 2, "ccccbb"),
        ((1, 1), 2, 2, ""),  # no node has room for a pair
        ((2, 2), 3, 1, "aab"),
        ((2, 5), 8, 1, "bbbbbaa"),
    ],
)
def test_ranks_go_to_the_largest_room_first_and_groups_stay_together(free, ranks, together, placed):
    nodes = [Node(name, name, NOWHERE, {"CPU": 8}, {"CPU": slots}) for name, slots in zip("abc", free, strict=False)]
    assert "".join(node.name for node in place(nodes, ranks, CPU, together)) == placed


def test_nothing_is_placed_on_a_node_that_is_leaving():
    nodes = [Node("a", "a", NOWHERE, {"CPU": 4}, {"CPU": 4}, leaving=True), Node("b", "b", NOWHERE, {"CPU": 2}, {"CPU": 2})]
    assert [node.name for node in place(nodes, 4, CPU)] == ["b", "b"]
