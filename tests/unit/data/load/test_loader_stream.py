"""The batches of a loader are one stream: any ranks, threads and restarts give what one rank gives from the start, byte for byte."""

import itertools
import subprocess
import sys
from pathlib import Path

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dist_alexnet.batch import Batch
from dist_alexnet.config import AugmentConfig, DataConfig
from dist_alexnet.data.load.loader import Loader
from dist_alexnet.data.sets.open import open_split
from dist_alexnet.data.sets.shards import Shards
from dist_alexnet.data.sources.class_folder import ClassFolder

STORE, SIZE = 64, 48
Steps = list[tuple[torch.Tensor, torch.Tensor]]  # images and labels of whole global batches


class Few:
    """The first images of a set, as a set."""

    def __init__(self, images: Shards | ClassFolder, count: int) -> None:
        self._images, self._count = images, count

    def __len__(self) -> int:
        return self._count

    def __getattr__(self, name: str) -> object:
        return getattr(self._images, name)


def take(images: Few, seed: int, global_batch: int, bounds: list[int], steps: range, threads: int) -> Steps:
    """What ranks load together, which own the rows between the bounds, when they start at the first of the steps."""
    config = DataConfig(store_size=STORE, threads=threads, statistics="authors", augment=AugmentConfig(color="code"))
    ranks: list[list[Batch]] = []
    for rows in itertools.starmap(slice, itertools.pairwise(bounds)):
        loader = Loader(images, config, SIZE, torch.device("cpu"), seed)
        batches = loader.train_batches(global_batch, rows, steps.start * global_batch)
        ranks.append(list(itertools.islice(batches, len(steps))))
        batches.close()
        assert loader.bad == []
    parts = list(zip(*ranks, strict=True))
    assert all(torch.cat([part.rows for part in step]).tolist() == list(range(global_batch)) for step in parts)
    return [(torch.cat([part.images for part in step]), torch.cat([part.labels for part in step])) for step in parts]


def check(path: Path, data: st.DataObject) -> None:
    count, global_batch = data.draw(st.integers(1, 40), "images"), data.draw(st.integers(1, 16), "global_batch")
    seed, threads = data.draw(st.integers(0, 2**40), "seed"), st.sampled_from([1, 4])
    cut, steps = data.draw(st.integers(0, 6), "restart"), 7
    cuts = st.lists(st.integers(0, global_batch), max_size=3).map(lambda inner: [0, *sorted(inner), global_batch])
    images = Few(open_split(path, "train"), count)
    whole = take(images, seed, global_batch, [0, global_batch], range(steps), threads=1)
    before = take(images, seed, global_batch, data.draw(cuts, "ranks before"), range(cut), data.draw(threads, "threads"))
    after = take(images, seed, global_batch, data.draw(cuts, "ranks after"), range(cut, steps), data.draw(threads, "threads"))
    for ours, theirs in zip([*before, *after], whole, strict=True):
        assert all(torch.equal(*pair) for pair in zip(ours, theirs, strict=True))


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_ranks_threads_and_restarts_read_the_same_squares(pixels: Path, data: st.DataObject) -> None:
    check(pixels, data)


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_ranks_threads_and_restarts_decode_the_same_files(lossless: Path, data: st.DataObject) -> None:
    check(lossless, data)


RANK = """
import itertools, os, sys
import torch
from dist_alexnet.config import AugmentConfig, DataConfig
from dist_alexnet.data.sets.open import open_split
from dist_alexnet.data.load.loader import Loader
path, out, first, last, start = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
config = DataConfig(store_size=64, statistics="authors", augment=AugmentConfig(color="code"))
batches = Loader(open_split(path, "train"), config, 48, torch.device("cpu"), 5).train_batches(10, slice(first, last), start)
for step, batch in enumerate(itertools.islice(batches, 3), start // 10):
    torch.save((batch.images.clone(), batch.labels), f"{out}/{step}-{first}.pt")
os._exit(9)  # as one that is killed: nothing is closed
"""


def test_two_processes_go_on_where_three_died(prepared: Path, tmp_path: Path) -> None:
    for start, bounds in ((0, [0, 3, 6, 10]), (30, [0, 5, 10])):  # the second epoch has begun, and is not over
        argv = [[str(word) for word in (prepared, tmp_path, *rows, start)] for rows in itertools.pairwise(bounds)]
        ranks = [subprocess.Popen([sys.executable, "-c", RANK, *each]) for each in argv]
        assert [rank.wait(120) for rank in ranks] == [9] * len(ranks)
    config = DataConfig(store_size=STORE, statistics="authors", augment=AugmentConfig(color="code"))
    batches = Loader(open_split(prepared, "train"), config, SIZE, torch.device("cpu"), 5).train_batches(10, slice(0, 10), 0)
    for step, whole in enumerate(itertools.islice(batches, 6)):
        files = sorted(tmp_path.glob(f"{step}-*.pt"))
        assert len(files) == (3 if step < 3 else 2)
        images, labels = (torch.cat(parts) for parts in zip(*map(torch.load, files), strict=True))
        assert torch.equal(images, whole.images)
        assert torch.equal(labels, whole.labels)
    batches.close()
