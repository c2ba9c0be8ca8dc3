"""Squares that are stored as pixels, on the CPU: there is nothing to decode, so the threads that crop them read them."""

from collections.abc import Iterator

import torch

from dist_alexnet.config import DataConfig
from dist_alexnet.data.load.cpu_batches import CpuBatches, Scratch, Squares
from dist_alexnet.data.load.crops import Crops
from dist_alexnet.data.load.healing import HealingReader
from dist_alexnet.data.order.plan import Plan


class RawReader:
    """Crops of raw squares; arguments as of DaliDecoder."""

    def __init__(self, reader: HealingReader, config: DataConfig, crops: Crops) -> None:
        self._reader, self._scratch = reader, Scratch(reader.images.prepared_size or 0)
        self._batches = CpuBatches(crops, config.threads, ahead=config.prefetch)

    def run(self, plans: Iterator[Plan]) -> Iterator[tuple[Plan, list[torch.Tensor]]]:
        """Each plan with its views, [max(b, 1), S, S, 3]. Close it to release its threads."""
        return self._batches.run((plan, self._squares(plan)) for plan in plans)

    def _squares(self, plan: Plan) -> Squares:
        return lambda piece: self._scratch.fill(piece, lambda position: self._reader.read(plan, position))
