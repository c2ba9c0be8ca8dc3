"""From encoded images to batches, on the CPU or on a GPU: the only file that knows NVIDIA DALI.

One pipeline serves both; on a CPU its last operator is replaced by our own, which is several times faster (cpu_crop.py). Which images,
and what is done to each, is decided outside and fed in (sampler.py, augment.py), because DALI's own shuffling and random numbers depend
on the shard and on the threads.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from nvidia.dali import fn
from nvidia.dali.pipeline import pipeline_def
from nvidia.dali.types import DALIDataType, DALIImageType, DALIInterpType
from torch.utils.dlpack import from_dlpack

from dist_alexnet.config import DataConfig, UsageError
from dist_alexnet.data.augment import Augmentation, center, divisor, draw
from dist_alexnet.data.batch import Batch
from dist_alexnet.data.cpu_crop import Recycler, crop_mirror_normalize
from dist_alexnet.data.image_set import ImageSet, check_sizes
from dist_alexnet.data.sampler import Sampler

IMAGENET_MEAN = (127.30, 119.72, 104.91)  # R, G, B grey levels of the training set; cuda-convnet2, make-data/input_meta
UINT8, FLOAT, INT32 = DALIDataType.UINT8, DALIDataType.FLOAT, DALIDataType.INT32
FEEDS = [UINT8, FLOAT, FLOAT, INT32, FLOAT]  # encoded bytes, crop y, crop x, mirror, subtrahend


@dataclass(frozen=True)
class Plan:
    """Which images make up a rank's part of a batch, and what happens to each."""

    rows: npt.NDArray[np.int64]  # [b] within the global batch
    global_batch: int
    indices: npt.NDArray[np.int64]  # [max(b, 1)]: DALI has no empty batches, so a rank without rows loads an image and drops it
    augmentation: Augmentation


class Loader:
    """The batches of one rank.

    Args:
        images: the split to read.
        config: how to read it.
        image_size: S, side of the crops in pixels.
        device: where the batches go; the GPU decodes its own.
        seed: of order and augmentation.

    Raises:
        UsageError: the stored images, data.store_size and S do not fit together.
    """

    def __init__(self, images: ImageSet, config: DataConfig, image_size: int, device: torch.device, seed: int) -> None:
        check_sizes(images, config.store_size, image_size)
        self.images = images
        self.config = config
        self.image_size = image_size
        self.device = device
        self._cuda = device.type == "cuda"
        self._recycler = Recycler()
        self.seed = seed
        self.mean = np.array(config.mean or images.mean or IMAGENET_MEAN, np.float32)
        self._max_offset = config.store_size - image_size

    def train_batches(self, global_batch: int, rows: slice, start: int) -> Generator[Batch]:
        """Endless: these rows of each global batch, augmented. Close the iterator to release its threads.

        Args:
            global_batch: images per batch over all ranks.
            rows: those that this rank loads.
            start: position in the endless stream of images (sampler.py) where the first batch begins.
        """
        sampler = Sampler(len(self.images), self.seed, self.config.order == "shuffle")
        loaded = rows if rows.stop > rows.start else slice(0, 1)

        def plans() -> Iterator[Plan]:
            for first in range(start, 2**63, global_batch):
                positions = np.arange(first + loaded.start, first + loaded.stop)
                augmentation = draw(self.config.augment, self.seed, positions, self._max_offset)
                indices = sampler.indices(first + loaded.start, first + loaded.stop)
                yield Plan(np.arange(rows.start, rows.stop), global_batch, indices, augmentation)

        return self._batches(plans(), loaded.stop - loaded.start, self.config.std * divisor(self.config.augment))

    def eval_batches(self, global_batch: int, rows_of: Callable[[int], slice]) -> Generator[Batch]:
        """Every image once, in file order, its central crop. The last batch has n <= global_batch images over all ranks.

        Args:
            global_batch: images per batch over all ranks.
            rows_of: the rows that this rank loads of a batch of n images; possibly none.
        """

        def plans() -> Iterator[Plan]:
            for start in range(0, len(self.images), global_batch):
                n = min(global_batch, len(self.images) - start)
                rows = np.arange(n)[rows_of(n)]
                indices = start + (rows if len(rows) else np.zeros(1, np.int64))
                yield Plan(rows, n, indices, center(len(indices), self._max_offset))

        return self._batches(plans(), global_batch, self.config.std)

    def _batches(self, plans: Iterator[Plan], max_rows: int, std: float) -> Generator[Batch]:
        scheduled: deque[tuple[Plan, tuple[Any, ...]]] = deque()  # keeps what is fed alive until DALI, which does not copy it, is done

        def source() -> Iterator[tuple[Any, ...]]:
            for plan in plans:
                scheduled.append((plan, self._feed(plan)))
                yield scheduled[-1][1]

        pipeline = self._pipeline(source(), max_rows, std)
        try:
            while True:
                try:
                    (output,) = pipeline.run()
                except StopIteration:
                    return
                except RuntimeError as error:
                    if name := self._undecodable(index for plan, _ in scheduled for index in plan.indices.tolist()):
                        fix = "delete it, or run `dist-alexnet data prepare`, which leaves such files out"
                        raise UsageError(f"{name}: this image does not decode; {fix}") from error
                    raise
                yield self._batch(scheduled.popleft()[0], output, std)
        finally:
            del pipeline  # ends its threads

    def _pipeline(self, source: Iterator[tuple[Any, ...]], max_rows: int, std: float) -> Any:
        return _decode_crop_normalize(
            source,
            cuda=self._cuda,
            store_size=None if self.images.prepared_size else self.config.store_size,
            image_size=self.image_size,
            std=std,
            batch_size=max_rows,
            num_threads=self.config.threads,
            device_id=(self.device.index or 0) if self._cuda else None,
            prefetch_queue_depth=self.config.prefetch + 1,  # one is being trained on
        )

    def _feed(self, plan: Plan) -> tuple[Any, ...]:
        """What the pipeline needs of a plan: the encoded bytes and, on a GPU, the rest of FEEDS."""
        encoded = [self.images.encoded(index) for index in plan.indices]
        if not self._cuda:
            return (encoded,)
        augmentation = plan.augmentation
        scale = max(self._max_offset, 1)  # DALI wants crop positions as a fraction of the room and rounds the product: exact for integers
        return (
            encoded,
            (augmentation.crop_y / scale).astype(np.float32),
            (augmentation.crop_x / scale).astype(np.float32),
            augmentation.mirror.astype(np.int32),
            self.mean - augmentation.color,
        )

    def _batch(self, plan: Plan, output: Any, std: float) -> Batch:
        if self._cuda:
            # Nothing is copied: DALI's executor gives up a buffer that it hands out, and takes it back when torch lets go of the tensor.
            crops = from_dlpack(output.as_tensor())
        else:
            decoded: npt.NDArray[np.uint8] = np.from_dlpack(output.as_tensor())  # type: ignore[assignment]
            subtrahend = (self.mean - plan.augmentation.color).astype(np.float32)
            filled = self._recycler.empty((len(decoded), self.image_size, self.image_size, 3))
            crop_mirror_normalize(decoded, plan.augmentation, subtrahend, std, out=filled)
            crops = torch.from_numpy(filled)
        images = crops[: len(plan.rows)].permute(0, 3, 1, 2)
        labels = torch.from_numpy(self.images.labels[plan.indices[: len(plan.rows)]])
        return Batch(images, labels.to(self.device), torch.from_numpy(plan.rows).to(self.device), plan.global_batch)

    def _undecodable(self, indices: Iterable[int]) -> str | None:
        """Name of the first of these images that does not decode. DALI says only that some image of a batch did not."""
        for index in indices:
            alone = Plan(np.zeros(1, np.int64), 1, np.array([index]), center(1, self._max_offset))
            feed = self._feed(alone)
            try:
                self._pipeline(iter([feed]), 1, 1.0).run()
            except RuntimeError:
                return self.images.where(index)
        return None


@pipeline_def
def _decode_crop_normalize(source: Iterator[tuple[Any, ...]], cuda: bool, store_size: int | None, image_size: int, std: float) -> Any:
    """(pixels - subtrahend) / std of the crop, float32 HWC, on a GPU; on a CPU the squares, uint8 HWC, for `cpu_crop` to crop.

    store_size: of photographs, to scale to; None: they are squares already.
    """
    feeds = FEEDS if cuda else FEEDS[:1]
    encoded, *how = fn.external_source(
        source, num_outputs=len(feeds), dtype=feeds, ndim=[1, 0, 0, 0, 1][: len(feeds)], batch=True, no_copy=True
    )
    images = fn.decoders.image(encoded, device="mixed" if cuda else "cpu", output_type=DALIImageType.RGB)
    if store_size:
        scaled: Any = fn.resize(images, resize_shorter=float(store_size), interp_type=DALIInterpType.INTERP_LINEAR, antialias=True)
        images = fn.crop(scaled, crop=(store_size, store_size), rounding="truncate")  # an odd margin as prepare cuts it
    if not cuda:
        return images
    crop_y, crop_x, mirror, subtrahend = how
    return fn.crop_mirror_normalize(
        images,
        crop=(image_size, image_size),
        crop_pos_y=crop_y,
        crop_pos_x=crop_x,
        mirror=mirror,
        mean=subtrahend,
        std=[std] * 3,
        dtype=FLOAT,
        output_layout="HWC",
    )
