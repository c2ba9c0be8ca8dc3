"""A few optimizer steps, and everything about them that must not depend on the strategy.

Letters: B global batch, U units of a layer.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor

from dist_alexnet.batch import Batch
from dist_alexnet.checkpoints.canonical import canonical_tensors, rows_kept
from dist_alexnet.config import Config
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.training.trainer import Trainer
from dist_alexnet.update.schedule import Schedule


@dataclass(frozen=True)
class Mask:
    """A dropout mask as it was applied to some rows and units."""

    step: int
    layer: int
    rows: Tensor  # [b] of the global batch
    units: slice
    keep: Tensor  # [b, u] booleans


@dataclass
class Testimony:
    """What one rank saw."""

    losses: list[float] = field(default_factory=list)  # of the global batch, by step
    samples: list[dict[int, int]] = field(default_factory=list)  # by step: row -> checksum of image and label
    masks: list[Mask] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)  # canonical name -> this rank's rows of weights and momentum, at the end
    rows: dict[str, slice] = field(default_factory=dict)  # canonical name -> which these are
    counted_bytes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # sent by this rank per step
    predicted_bytes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def train_steps(strategy: Strategy, batches: Iterable[Batch], steps: int) -> Testimony:
    """Train `steps` steps; every rank of the strategy's world calls it, before or after `connect`.

    Args:
        strategy: connected.
        batches: this rank's rows of `steps` global batches or more.
        steps: of the optimizer. The learning rate goes through its whole schedule in them.
    """
    config, world, testimony = strategy.config, strategy.world, Testimony()
    trainer, schedule = Trainer(strategy), Schedule(config.train)
    for step, batch in zip(range(steps), batches, strict=False):
        testimony.samples.append(checksums(batch))
        strategy.watch_masks = lambda layer, rows, units, keep, step=step: testimony.masks.append(
            Mask(step, layer, rows.cpu(), units, keep.cpu())
        )
        lr = schedule.lr(epoch=config.train.epochs * step / steps)
        loss = trainer.step(batch, lr, step)
        testimony.losses.append(_sum_over_ranks(loss if strategy.speaks_for_its_rows else torch.zeros_like(loss), world.world_size))
    strategy.watch_masks = None
    testimony.counted_bytes = strategy.traffic.as_dict(scale=steps)
    testimony.predicted_bytes = strategy.predict_traffic(config.train.global_batch).as_dict()
    for name, tensor in canonical_tensors(strategy, trainer.network, trainer.optimizer).items():
        testimony.tensors[name] = tensor.clone()
        testimony.rows[name] = rows_kept(strategy, name)
    return testimony


def generated_batches(config: Config, strategy: Strategy) -> Iterable[Batch]:
    """This rank's rows of global batches whose images and labels are drawn whole from the seed and the step."""
    count, size, step = config.train.global_batch, config.model.image_size, 0
    while True:
        generator = torch.Generator().manual_seed(config.train.seed * 1_000_003 + step)
        images = torch.randn(count, 3, size, size, generator=generator)
        labels = torch.randint(config.model.classes or 1000, (count,), generator=generator)
        rows = strategy.rows(count)
        own = images[rows].contiguous(memory_format=torch.channels_last)  # as the loader lays them out
        yield Batch(own, labels[rows], torch.arange(count)[rows], count)
        step += 1


def checksums(batch: Batch) -> dict[int, int]:
    """Row of the global batch -> checksum of its image, bit by bit, and its label."""
    images = batch.images.cpu().permute(0, 2, 3, 1).contiguous().numpy()
    return {int(row): zlib.crc32(image.tobytes(), int(label)) for row, image, label in zip(batch.rows, images, batch.labels, strict=True)}


def _sum_over_ranks(loss: Tensor, ranks: int) -> float:
    if ranks > 1:
        dist.all_reduce(loss)
    return float(loss)
