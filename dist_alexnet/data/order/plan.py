"""Which images make up each batch of a rank, and what happens to them: decided here, before anything is read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dist_alexnet.config import DataConfig
from dist_alexnet.data.order.augment import Augmentation, center, draw, ten_views
from dist_alexnet.data.order.sampler import Sampler
from dist_alexnet.data.statistics import Statistics

NOT_COUNTED = -1  # label of an image that an evaluation had to leave out


@dataclass
class Plan:
    """A rank's part of a batch, or of several that show other views of the same images.

    A rank without rows has one image all the same, for DALI has no empty batches; it is dropped.
    """

    rows: npt.NDArray[np.int64]  # [b] within the global batch
    global_batch: int
    indices: npt.NDArray[np.int64]  # [max(b, 1)]; an image that turns out to be bad is exchanged for the next one
    views: list[Augmentation]  # of these images; a batch each
    labels: npt.NDArray[np.int64] = field(init=False)  # [max(b, 1)], filled in when the images are read
    exchanged: npt.NDArray[np.bool_] = field(init=False)  # [max(b, 1)], of images that have taken the place of bad ones

    def __post_init__(self) -> None:
        self.exchanged = np.zeros(len(self.indices), bool)
        self.labels = np.full(len(self.indices), NOT_COUNTED)


def train_plans(
    config: DataConfig, num_images: int, seed: int, global_batch: int, rows: slice, start: int, max_offset: int, statistics: Statistics
) -> Iterator[Plan]:
    """Endless: these rows of each global batch, from position `start` of the stream (sampler.py) on."""
    sampler = Sampler(num_images, seed, config.order == "shuffle")
    loaded = rows if rows.stop > rows.start else slice(0, 1)
    for first in range(start, 2**63, global_batch):
        positions = np.arange(first + loaded.start, first + loaded.stop)
        view = draw(config.augment, seed, positions, num_images, max_offset, statistics)
        indices = sampler.indices(first + loaded.start, first + loaded.stop)
        yield Plan(np.arange(rows.start, rows.stop), global_batch, indices, [view])


def eval_plans(num_images: int, global_batch: int, rows_of: Callable[[int], slice], max_offset: int, views: int) -> Iterator[Plan]:
    """Every image once, in file order, in one view (the centre) or ten. The last batch has n <= global_batch images over all ranks."""
    for start in range(0, num_images, global_batch):
        n = min(global_batch, num_images - start)
        rows = np.arange(n)[rows_of(n)]
        indices = start + (rows if len(rows) else np.zeros(1, np.int64))
        shown = [center(len(indices), max_offset)] if views == 1 else ten_views(len(indices), max_offset)
        yield Plan(rows, n, indices, shown)
