"""A prepared set of 14 million images, of which nothing but the lengths is real, opens as a run opens it."""

import tracemalloc
from pathlib import Path

import numpy as np
import torch

from dist_alexnet.config import DataConfig
from dist_alexnet.data.images import SPLITS
from dist_alexnet.data.load.loader import Loader
from dist_alexnet.data.order.augment import IMAGENET
from dist_alexnet.data.order.plan import train_plans
from dist_alexnet.data.prepare.prepare import SHARD_IMAGES
from dist_alexnet.data.sets.index import Index, ShardEntry
from dist_alexnet.data.sets.open import open_data
from dist_alexnet.data.sets.shards import shard_path

IMAGES = {"train": 14_000_000, "val": 50_000}
MIB = 2**20


def build(root: Path) -> None:
    """Sparse files of 30 KB an image, as ImageNet has them."""
    splits = {}
    for split in SPLITS:
        (root / split).mkdir(parents=True)
        splits[split] = []
        for number, start in enumerate(range(0, IMAGES[split], SHARD_IMAGES["jpeg"])):
            images = min(SHARD_IMAGES["jpeg"], IMAGES[split] - start)
            entry = ShardEntry(images, 30_000 * images, f"{number:064x}", 30_000 * images - 4 * images, 512, 512 + 8 * (images + 1))
            splits[split].append(entry)
            with shard_path(root / split, number).open("wb") as file:
                file.truncate(entry.bytes)
    Index([f"n{number:08d}" for number in range(1000)], {}, "jpeg", 256, splits).write(root)


def test_a_run_starts_on_fourteen_million_images_in_little_memory(tmp_path: Path) -> None:
    build(tmp_path / "set")
    tracemalloc.start()
    train, val = open_data(tmp_path / "set")
    config = DataConfig(
        statistics="authors",
    )
    loader = Loader(train, config, 224, torch.device("cpu"), seed=0)
    last = len(train) - 60  # the first batch straddles two epochs
    plan = next(train_plans(config, len(loader.images), 0, 128, slice(0, 128), last, 32, IMAGENET))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(train), len(val), len(train.paths)) == (14_000_000, 50_000, 3418)
    assert len(np.unique(plan.indices)) == 128
    assert train.locate(13_999_999) == (3417, 13_999_999 - 3417 * 4096)
    assert peak < 50 * MIB, "12 MB when it was written; 200 are allowed"
