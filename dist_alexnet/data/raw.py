"""Crops of squares that are stored as pixels, on the CPU: there is nothing to decode, so threads read and crop them."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields
from itertools import islice

import numpy as np
import torch

from dist_alexnet.config import DataConfig
from dist_alexnet.data.augment import Augmentation
from dist_alexnet.data.cpu_crop import Recycler, crop_mirror_normalize
from dist_alexnet.data.crops import Crops
from dist_alexnet.data.healing import HealingReader
from dist_alexnet.data.plan import Plan


class RawReader:
    """Crops of raw squares, read ahead by `data.threads` threads; arguments as of DaliDecoder."""

    def __init__(self, reader: HealingReader, config: DataConfig, crops: Crops) -> None:
        self._reader, self._config, self._crops = reader, config, crops
        self._recycler = Recycler()

    def run(self, plans: Iterator[Plan]) -> Iterator[tuple[Plan, list[torch.Tensor]]]:
        """Each plan with its views, [max(b, 1), S, S, 3]. Close it to release its threads."""
        ahead: deque[tuple[Plan, list[torch.Tensor], list[Future[None]]]] = deque()
        pool = ThreadPoolExecutor(self._config.threads, thread_name_prefix="raw")
        try:
            while True:
                for plan in islice(plans, self._config.prefetch + 1 - len(ahead)):
                    ahead.append(self._begin(pool, plan))
                if not ahead:
                    return
                plan, crops, pieces = ahead.popleft()
                for piece in pieces:
                    piece.result()
                yield plan, crops
        finally:
            pool.shutdown(cancel_futures=True)

    def _begin(self, pool: ThreadPoolExecutor, plan: Plan) -> tuple[Plan, list[torch.Tensor], list[Future[None]]]:
        size, rows = self._crops.size, len(plan.indices)
        crops = [torch.from_numpy(self._recycler.empty((rows, size, size, 3))) for _ in plan.views]
        pieces = np.array_split(np.arange(rows), min(self._config.threads, rows))
        return plan, crops, [pool.submit(self._fill, plan, range(piece[0], piece[-1] + 1), crops) for piece in pieces]

    def _fill(self, plan: Plan, positions: range, crops: list[torch.Tensor]) -> None:
        mean, std = self._crops.mean, self._crops.std
        for position in positions:
            square = self._reader.read(plan, position)[None]
            for view, crop in zip(plan.views, crops, strict=True):
                crop_mirror_normalize(square, _one(view, position), mean, std, crop[position : position + 1].numpy())


def _one(view: Augmentation, position: int) -> Augmentation:
    return Augmentation(*(getattr(view, each.name)[position : position + 1] for each in fields(view)))
