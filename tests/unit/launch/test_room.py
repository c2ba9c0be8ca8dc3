import pytest

from dist_alexnet.launch.room import fitting, in_words, largest


@pytest.mark.parametrize(
    ("rooms", "most", "together", "ranks"),
    [
        ((2, 2), 4, 1, 4),
        ((3, 3), 8, 2, 4),  # the third slot of each node has no partner on it
        ((3, 3), 3, 2, 2),
        ((1, 1), 2, 2, 0),
        ((), 4, 1, 0),
    ],
)
def test_ranks_that_fit(rooms: tuple[int, ...], most: int, together: int, ranks: int) -> None:
    assert fitting(rooms, most, together) == ranks


def test_a_world_that_must_be_on_one_node_is_not_larger_than_the_largest() -> None:
    assert largest([2, 3, 4], (2, 3), together=lambda size: size) == 3
    assert largest([2, 3, 4], (2, 3), together=lambda size: 1) == 4
    assert largest([2, 4], (1, 1), together=lambda size: 2) == 0


def test_a_map_of_ranks_in_words() -> None:
    assert in_words(["a", "a", "b", "a"]) == "0-1 on a, 2 on b, 3 on a"
    assert in_words([]) == ""
