"""The batches of a rank: what is loaded, from plans to tensors, whatever reads and decodes it."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import torch

from dist_alexnet.batch import Batch
from dist_alexnet.config import DataConfig, UsageError
from dist_alexnet.data.images import ImageSet, check_sizes
from dist_alexnet.data.load.crops import Crops, chosen_statistics
from dist_alexnet.data.load.dali import DaliDecoder
from dist_alexnet.data.load.healing import HealingReader
from dist_alexnet.data.load.raw import RawReader
from dist_alexnet.data.load.resident import ResidentSet
from dist_alexnet.data.order.plan import Plan, eval_plans, train_plans


class Loader:
    """The batches of one rank, of one split. It remembers which images are bad.

    Args:
        images: the split to read.
        config: how to read it.
        image_size: S, side of the crops in pixels.
        device: where the batches go; a GPU decodes its own.
        seed: of order and augmentation.

    Raises:
        UsageError: the stored images, data.store_size and S do not fit together, or the configuration asks for what the set lacks.
    """

    def __init__(self, images: ImageSet, config: DataConfig, image_size: int, device: torch.device, seed: int) -> None:
        check_sizes(images, config.store_size, image_size)
        self.images, self.device, self.seed = images, device, seed
        self.config = replace(config, threads=config.threads or 1)
        self.crops = Crops.of(config, images, image_size)
        self._max_offset = config.store_size - image_size
        self._bad: dict[int, str] = {}
        self._resident: ResidentSet | None = None
        if config.cache == "gpu" and device.type != "cuda":
            raise UsageError("data.cache=gpu keeps the images in the memory of a GPU; type --device cuda, or data.cache=none")

    @property
    def bad(self) -> list[str]:
        """Images that could not be read or decoded, with the reason, in the order of the set: threads find them in any."""
        return [reason for _, reason in sorted(self._bad.items())]

    def train_batches(self, global_batch: int, rows: slice, start: int) -> Generator[Batch]:
        """Endless: these rows of each global batch, augmented. Close the iterator to release its threads.

        Args:
            global_batch: images per batch over all ranks.
            rows: those that this rank loads.
            start: position in the endless stream of images (sampler.py) where the first batch begins.

        Raises:
            TooManyBadImages: more than data.max_bad could not be read or decoded; so many are exchanged for the next of the set.
        """
        statistics = chosen_statistics(self.config, self.images)
        plans = train_plans(self.config, len(self.images), self.seed, global_batch, rows, start, self._max_offset, statistics)
        return self._batches(plans, max(1, rows.stop - rows.start), exchange=True)

    def eval_batches(self, global_batch: int, rows_of: Callable[[int], slice], views: int = 1) -> Generator[Batch]:
        """Every image once, in file order, its central crop; or, with 10 views, ten batches of the same rows after each other.

        An image that cannot be read or decoded keeps its row, but its label is NOT_COUNTED.

        Args:
            global_batch: images per batch over all ranks; the last has fewer.
            rows_of: the rows that this rank loads of a batch of n images; possibly none.
            views: 1 or 10: corners and centre in the authors' order (convdata_jpeg.py), then all five mirrored.

        Raises:
            TooManyBadImages: more than data.max_bad could not be read or decoded.
        """
        plans = eval_plans(len(self.images), global_batch, rows_of, self._max_offset, views)
        return self._batches(plans, global_batch, exchange=False, views=views)

    def _batches(self, plans: Iterator[Plan], max_rows: int, exchange: bool, views: int = 1) -> Generator[Batch]:
        reader = HealingReader(self.images, exchange, self.config.max_bad, self._bad)
        with closing(self._crops(reader, plans, max_rows, views)) as results:
            for plan, crops in results:
                for view in crops:
                    yield self._batch(plan, view)

    def _crops(self, reader: HealingReader, plans: Iterator[Plan], max_rows: int, views: int) -> Any:
        if self.config.cache == "gpu":
            self._resident = self._resident or ResidentSet(reader, self.crops, self.device)
            return self._resident.run(reader, plans)
        if self.images.encoding == "raw" and self.device.type == "cpu":
            return RawReader(reader, self.config, self.crops).run(plans)
        return DaliDecoder(reader, self.config, self.crops, self.device, self._max_offset, views).run(plans, max_rows)

    def _batch(self, plan: Plan, crops: torch.Tensor) -> Batch:
        count = len(plan.rows)
        labels, rows = torch.from_numpy(plan.labels[:count]), torch.from_numpy(plan.rows)
        return Batch(self.crops.batch(crops[:count]), labels.to(self.device), rows.to(self.device), plan.global_batch)
