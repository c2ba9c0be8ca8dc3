"""Decode images, on the CPU or on a GPU: the only file that knows NVIDIA DALI.

One pipeline serves both; on a CPU its last operator is replaced by our own, which is several times faster (cpu_crop.py). Which images,
and what is done to each, is decided outside and fed in (plan.py, augment.py), because DALI's own shuffling and random numbers depend
on the shard and on the threads.
"""

import math
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import chain
from typing import Any

import numpy as np
import torch
from nvidia.dali import fn
from nvidia.dali.pipeline import pipeline_def
from nvidia.dali.types import DALIDataType, DALIImageType, DALIInterpType
from torch.utils.dlpack import from_dlpack

from dist_alexnet.config import DataConfig, UsageError
from dist_alexnet.data.load.ahead import ahead
from dist_alexnet.data.load.cpu_batches import DECODED, PIECE, CpuBatches, Pixels, Scratch, Squares
from dist_alexnet.data.load.crops import Crops
from dist_alexnet.data.load.healing import HealingReader
from dist_alexnet.data.order.augment import Augmentation
from dist_alexnet.data.order.plan import Plan
from dist_alexnet.data.pixels.scaling import scale_and_crop
from dist_alexnet.data.pixels.wholeness import flaw_within

UINT8, FLOAT, FLOAT16, INT32 = DALIDataType.UINT8, DALIDataType.FLOAT, DALIDataType.FLOAT16, DALIDataType.INT32
RGB = DALIImageType.RGB
WHERE = [(FLOAT, 0), (FLOAT, 0)]  # type and dimensions of crop y, crop x of a view
HOW = [*WHERE, (INT32, 0), (FLOAT, 1), (FLOAT, 1)]  # and of mirror, mean, std


class DaliDecoder:
    """Crops of encoded images.

    Args:
        reader: of the encoded images.
        config: how.
        crops: what to make of them.
        device: where the crops go; a GPU decodes its own.
        max_offset: pixels, room for a crop in a square.
        views: of each image.
    """

    def __init__(
        self, reader: HealingReader, config: DataConfig, crops: Crops, device: torch.device, max_offset: int, views: int = 1
    ) -> None:
        self._reader, self._config, self._crops, self._device, self._max_offset = reader, config, crops, device, max_offset
        self._cuda = device.type == "cuda"
        self._views = views
        self._side = reader.images.prepared_size or config.store_size
        self._prepared = bool(reader.images.prepared_size)
        self._one_crop = views == 1 and not self._cuda  # in training, and of the centre in evaluation: what lies outside, nobody needs
        self._scratch = Scratch(crops.size if self._one_crop else self._side)

    def run(self, plans: Iterator[Plan], max_rows: int) -> Iterator[tuple[Plan, list[torch.Tensor]]]:
        """Each plan with its views, [max(b, 1), S, S, 3] on the device. Close it to release its threads."""
        with closing(self._outputs(plans, max_rows, self._views if self._cuda else 0)) as results:
            if self._cuda:
                for plan, outputs in results:
                    yield plan, self._crops_on_gpu(plan, outputs)
                return
            decoded = ((plan, self._squares(plan, images)) for plan, (images,) in results)
            batches = CpuBatches(self._crops, self._config.threads, ahead=1, piece=DECODED if self._prepared else PIECE).run(decoded)
            with closing(batches):
                yield from batches

    def decoded(self, plans: Iterator[Plan], max_rows: int) -> Generator[int]:
        """Bytes of what is decoded for each plan, to see how fast that goes: whole images, or of prepared squares the one crop."""
        with closing(self._outputs(plans, max_rows, finished=0)) as results:
            for _, (images,) in results:
                yield sum(math.prod(shape) for shape in images.shape())

    def _outputs(self, plans: Iterator[Plan], max_rows: int, finished: int) -> Generator[tuple[Plan, tuple[Any, ...]]]:
        """Each plan with what the pipeline makes of it: so many finished views, or decoded images."""
        scheduled: deque[tuple[Plan, tuple[Any, ...]]] = deque()  # keeps what is fed alive until DALI, which does not copy it, is done

        # Images are read, and looked at, by a thread: DALI asks for them in the thread that trains.
        feeds = ahead(((plan, self._feed(plan, finished)) for plan in plans), self._config.prefetch)

        def source() -> Iterator[tuple[Any, ...]]:
            for fed in feeds:
                scheduled.append(fed)
                yield fed[1]

        pipeline = self._pipeline(source(), max_rows, finished)
        try:
            while True:
                try:
                    outputs = pipeline.run()
                except StopIteration:
                    return
                except RuntimeError as error:
                    if name := self._undecodable(scheduled):
                        fix = "run `dist-alexnet data verify` on the set, mend or prepare it again"
                        raise UsageError(f"{name}: it does not decode; {fix}") from error
                    raise
                yield scheduled.popleft()[0], outputs
        finally:
            del pipeline  # ends its threads
            feeds.close()

    def _pipeline(self, source: Iterator[tuple[Any, ...]], max_rows: int, finished: int) -> Any:
        images = self._reader.images
        return _decode_crop_normalize(
            source,
            cuda=self._cuda,
            raw=images.encoding == "raw",
            store_size=None if self._prepared else self._config.store_size,
            crops=self._crops,
            crop_only=self._prepared and self._one_crop,
            views=finished,
            hints={
                "hw_decoder_load": self._config.hw_decoder_load,
                "device_memory_padding": self._config.decoder_padding_mib * 2**20,
            },
            batch_size=max_rows,
            num_threads=self._config.threads,
            device_id=(self._device.index or 0) if self._cuda else None,
            prefetch_queue_depth=self._config.prefetch + 1,  # one is being trained on
        )

    def _feed(self, plan: Plan, finished: int) -> tuple[Any, ...]:
        """What the pipeline needs of a plan: what is stored of the images, and WHERE or HOW for each view that it cuts out."""
        encoded = [self._reader.read(plan, position) for position in range(len(plan.indices))]
        if self._prepared and self._one_crop:
            return encoded, *self._where(plan.views[0])
        return encoded, *chain.from_iterable(map(self._how, plan.views[:finished]))

    def _where(self, view: Augmentation) -> tuple[Any, ...]:
        room = max(self._max_offset, 1)  # DALI wants crop positions as a fraction of it and rounds the product: exact for integers
        return (view.crop_y / room).astype(np.float32), (view.crop_x / room).astype(np.float32)

    def _how(self, view: Augmentation) -> tuple[Any, ...]:
        level = 0 if self._crops.per_pixel else self._crops.mean.reshape(1, 3)
        return (
            *self._where(view),
            view.mirror.astype(np.int32),
            (level - view.color).astype(np.float32),
            np.repeat(self._crops.std * view.divide[:, None], 3, axis=1).astype(np.float32),
        )

    def _squares(self, plan: Plan, images: Any) -> Squares:
        """Decoded images, which may be of any size, as squares; or as crops, where there is one of each."""
        if self._prepared:
            squares: Pixels = np.from_dlpack(images.as_tensor())  # type: ignore[assignment]
            return lambda piece: squares[piece.start : piece.stop]
        corners = [(0, 0)] * len(plan.indices)
        if self._one_crop:
            corners = list(zip(plan.views[0].crop_y.tolist(), plan.views[0].crop_x.tolist(), strict=True))

        def square(position: int) -> Pixels:
            image = from_dlpack(images[position])
            pixels: Pixels = scale_and_crop(image, self._side, corners[position], self._scratch.side).numpy()
            return pixels

        return lambda piece: self._scratch.fill(piece, square)

    def _crops_on_gpu(self, plan: Plan, outputs: tuple[Any, ...]) -> list[torch.Tensor]:
        # Nothing is copied: DALI's executor gives up a buffer that it hands out, and takes it back when torch lets go of the tensor.
        crops = [from_dlpack(output.as_tensor()) for output in outputs]
        if self._crops.per_pixel:
            mean = torch.from_numpy(self._crops.mean).to(self._device)
            for crop, view in zip(crops, plan.views, strict=True):
                scale = torch.from_numpy(1 / (self._crops.std * view.divide)).to(self._device, torch.float32)
                crop.sub_(mean * scale[:, None, None, None])
        return crops

    def _undecodable(self, scheduled: Iterable[tuple[Plan, tuple[Any, ...]]]) -> str | None:
        """Name of the first image of these plans that does not decode: DALI says only that some image of a batch did not."""
        if self._reader.images.encoding == "raw":
            return None  # pixels need no decoding: it is something else
        for plan, feed in scheduled:
            for index, content in zip(plan.indices.tolist(), feed[0], strict=True):
                if flaw_within(content):
                    return self._reader.images.where(index)
        return None


@pipeline_def
def _decode_crop_normalize(
    source: Iterator[tuple[Any, ...]],
    cuda: bool,
    raw: bool,
    store_size: int | None,
    crops: Crops,
    crop_only: bool,
    views: int,
    hints: dict[str, Any],
) -> Any:
    """(pixels - mean) / std of the crop for each view, HWC; without views the decoded images, as on a CPU, where `_squares` goes on.

    raw: what is fed are squares. store_size: of photographs, to scale to; None: they are squares already. crop_only: of squares only the
    crop is decoded, which saves 7 %. hints: to a GPU's decoder.
    """
    kinds, dimensions = zip((UINT8, 3 if raw else 1), *(WHERE if crop_only else HOW * views), strict=True)
    encoded, *how = fn.external_source(source, num_outputs=len(kinds), dtype=kinds, ndim=dimensions, batch=True, no_copy=True)
    if raw:
        images = fn.reinterpret(encoded, layout="HWC").gpu()  # on a CPU there is nothing to decode, and raw.py reads them
    elif crop_only:
        return fn.decoders.image_crop(encoded, crop=(crops.size, crops.size), crop_pos_y=how[0], crop_pos_x=how[1], output_type=RGB)
    else:
        device = {"device": "mixed", **hints} if cuda else {"device": "cpu"}
        images = fn.decoders.image(encoded, output_type=RGB, **device)
    if store_size and cuda:
        scaled: Any = fn.resize(images, resize_shorter=float(store_size), interp_type=DALIInterpType.INTERP_LINEAR, antialias=True)
        images = fn.crop(scaled, crop=(store_size, store_size), rounding="truncate")  # an odd margin as prepare cuts it
    if not views:
        return images
    return tuple(_view(images, crops, *how[start : start + len(HOW)]) for start in range(0, len(how), len(HOW)))


def _view(images: Any, crops: Crops, crop_y: Any, crop_x: Any, mirror: Any, mean: Any, std: Any) -> Any:
    return fn.crop_mirror_normalize(
        images,
        crop=(crops.size, crops.size),
        crop_pos_y=crop_y,
        crop_pos_x=crop_x,
        mirror=mirror,
        mean=mean,
        std=std,
        dtype=FLOAT16 if crops.dtype == torch.float16 and not crops.per_pixel else FLOAT,
        output_layout="HWC",
    )
