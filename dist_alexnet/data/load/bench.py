"""How fast the images of a set come: read, decoded, and as the batches that training takes."""

import statistics
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import torch

from dist_alexnet.config import Config
from dist_alexnet.data.images import ImageError, ImageSet
from dist_alexnet.data.load.dali import DaliDecoder
from dist_alexnet.data.load.healing import HealingReader
from dist_alexnet.data.load.loader import Loader
from dist_alexnet.data.order.plan import Plan, train_plans
from dist_alexnet.data.statistics import IMAGENET

Batches = Generator[int]  # of so many bytes each


@dataclass(frozen=True)
class Rate:
    """How fast one stage is, with those before it."""

    stage: str  # "read", "decode" or "batches"
    device: str
    threads: int
    images_per_second: float  # median of the rounds
    rounds: list[float]  # images/s of each
    bytes_per_second: float  # of what is read, or made


def measure(images: ImageSet, configs: Sequence[Config], seconds: float, rounds: int, tell: Callable[[int, int], None]) -> list[Rate]:
    """Rates of all stages under each configuration, taken in turn so that whatever else the machine does falls on all of them.

    Each measurement takes other images of the shuffled stream, so that of a set which does not fit into memory it is the disk that is
    measured. The first batch of each, which pays for starting threads, is not counted.

    Args:
        images: the set.
        configs: such as with other data.threads, or another launch.device; train.global_batch is the batch of one rank.
        seconds: of each measurement.
        rounds: of all measurements.
        tell: called with the number of measurements done and of all.
    """
    stages = {"read": _read, "decode": _decode, "batches": _batches}
    if images.encoding == "raw":
        del stages["decode"]  # there is nothing to decode
    todo = [(config, stage) for config in configs for stage in stages]
    found: list[list[tuple[float, float]]] = [[] for _ in todo]
    taken = 0
    for turn in range(rounds):
        for number, (config, stage) in enumerate(todo):
            tell(turn * len(todo) + number, rounds * len(todo))
            count, *rates = _time(stages[stage](images, config, taken), config.train.global_batch, seconds)
            found[number].append((rates[0], rates[1]))
            taken += count
    return [
        Rate(
            stage,
            config.launch.device,
            config.data.threads,
            statistics.median(images_per_second for images_per_second, _ in pairs),
            [images_per_second for images_per_second, _ in pairs],
            statistics.median(bytes_per_second for _, bytes_per_second in pairs),
        )
        for (config, stage), pairs in zip(todo, found, strict=True)
    ]


def _time(batches: Batches, batch: int, seconds: float) -> tuple[int, float, float]:
    """Images taken in all; images and bytes per second."""
    with closing(batches):
        next(batches)
        volume, count, began = 0, 0, time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds or not count:
            volume += next(batches)
            count += 1
    return (count + 1) * batch, count * batch / passed, volume / passed


def _read(images: ImageSet, config: Config, start: int) -> Batches:
    def volume(indices: Sequence[int]) -> int:
        return sum(_size(images, index) for index in indices)

    threads = config.data.threads
    with ThreadPoolExecutor(threads) as pool:
        for plan in _plans(images, config, start):
            yield sum(pool.map(volume, [plan.indices[first::threads].tolist() for first in range(threads)]))


def _size(images: ImageSet, index: int) -> int:
    try:
        return images.encoded(index).nbytes
    except ImageError:
        return 0  # as training, which goes on without it


def _decode(images: ImageSet, config: Config, start: int) -> Batches:
    loader = _loader(images, config)
    reader = HealingReader(images, exchange=True, max_bad=config.data.max_bad)
    decoder = DaliDecoder(reader, config.data, loader.crops, loader.device, _max_offset(config))
    return decoder.decoded(_plans(images, config, start), config.train.global_batch)


def _batches(images: ImageSet, config: Config, start: int) -> Batches:
    batch = config.train.global_batch
    with closing(_loader(images, config).train_batches(batch, slice(0, batch), start)) as batches:
        for each in batches:
            if each.images.is_cuda:
                torch.cuda.synchronize(each.images.device)  # it is on its way, or being made
            yield each.images.nbytes


def _loader(images: ImageSet, config: Config) -> Loader:
    return Loader(images, config.data, config.model.image_size, torch.device(config.launch.device), config.train.seed)


def _plans(images: ImageSet, config: Config, start: int) -> Iterator[Plan]:
    batch = config.train.global_batch
    return train_plans(config.data, len(images), config.train.seed, batch, slice(0, batch), start, _max_offset(config), IMAGENET)


def _max_offset(config: Config) -> int:
    return config.data.store_size - config.model.image_size
