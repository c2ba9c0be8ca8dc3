"""Which channels a rank holds, as a pure function."""

import pytest
import torch

from dist_alexnet.parallel.placement import Owner, Replicate, Shard, interval
from dist_alexnet.parallel.world import coordinates, split_rows

MESH = {"data": 2, "tower": 2}


@pytest.mark.parametrize("size", [1, 5, 8, 1000])
@pytest.mark.parametrize("parts", [1, 2, 3, 8])
def test_shards_are_cut_as_torch_cuts_them(size: int, parts: int) -> None:
    chunks = [chunk.tolist() for chunk in torch.arange(size).chunk(parts)]
    cuts = [interval(size, {"x": Shard(0)}, {"x": parts}, {"x": place}) for place in range(parts)]
    assert [list(range(cut.start, cut.stop)) for cut in cuts if cut.stop > cut.start] == chunks


def test_axes_that_are_not_named_replicate() -> None:
    assert interval(10, {}, MESH, {"data": 1, "tower": 1}) == slice(0, 10)
    assert interval(10, {"tower": Shard(0), "data": Replicate()}, MESH, {"data": 1, "tower": 1}) == slice(5, 10)


def test_shards_of_shards() -> None:
    both = {"data": Shard(0), "tower": Shard(0)}
    cuts = [interval(8, both, MESH, coordinates(rank, MESH)) for rank in range(4)]
    assert cuts == [slice(0, 2), slice(2, 4), slice(4, 6), slice(6, 8)]


def test_an_owner_has_all_and_the_others_nothing() -> None:
    cuts = [interval(10, {"tower": Owner(1)}, MESH, coordinates(rank, MESH)) for rank in range(4)]
    assert [cut.stop - cut.start for cut in cuts] == [0, 10, 0, 10]


def test_only_output_channels_can_be_split() -> None:
    with pytest.raises(ValueError, match=r"splits on its output channels, Shard\(0\)"):
        interval(10, {"tower": Shard(1)}, MESH, {"data": 0, "tower": 0})


def test_the_last_axis_varies_fastest() -> None:
    assert [coordinates(rank, MESH) for rank in (1, 2)] == [{"data": 0, "tower": 1}, {"data": 1, "tower": 0}]


@pytest.mark.parametrize(("rows", "parts"), [(8, 3), (2, 4), (128, 1), (7, 7)])
def test_every_row_goes_to_one_part(rows: int, parts: int) -> None:
    cuts = [split_rows(rows, parts, part) for part in range(parts)]
    assert [row for cut in cuts for row in range(rows)[cut]] == list(range(rows))
    assert max(cut.stop - cut.start for cut in cuts) - min(cut.stop - cut.start for cut in cuts) <= 1
