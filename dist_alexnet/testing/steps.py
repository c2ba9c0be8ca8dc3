"""A few optimizer steps on generated numbers, and everything about them that must not depend on the strategy."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor

from dist_alexnet.config import Config
from dist_alexnet.data.batch import Batch
from dist_alexnet.parallel import registry
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.parallel.world import World
from dist_alexnet.training.checkpoint import canonical_tensors
from dist_alexnet.training.optimizer import VelocitySGD
from dist_alexnet.training.schedule import Schedule


@dataclass(frozen=True)
class Steps:
    """What a rank saw of some steps."""

    losses: list[float]  # of the global batch, by step
    tensors: dict[str, Tensor]  # canonical weights and momentum; a rank lists those of which it holds a part, whole
    counted_bytes: Mapping[str, Mapping[str, float]]  # sent by this rank per step
    predicted_bytes: Mapping[str, Mapping[str, float]]


def global_batch(config: Config, step: int) -> Batch:
    """Images and labels of a step, drawn whole from the seed and the step, in the precision of the run."""
    generator = torch.Generator().manual_seed(config.train.seed * 1_000_003 + step)
    count, size = config.train.global_batch, config.model.image_size
    images = torch.randn(count, 3, size, size, generator=generator)
    labels = torch.randint(config.model.classes or 1000, (count,), generator=generator)
    return Batch(images, labels, torch.arange(count), count).to(torch.device("cpu"), getattr(torch, config.train.dtype))


def own_rows(batch: Batch, strategy: Strategy) -> Batch:
    """The rows of a global batch that a rank loads, laid out in memory as the loader does."""
    rows = strategy.rows(batch.global_batch)
    images = batch.images[rows].contiguous(memory_format=torch.channels_last)
    return Batch(images, batch.labels[rows], batch.rows[rows], batch.global_batch)


def train_steps(world: World, config: Config, steps: int) -> Steps:
    """Train `steps` steps under the strategy of a configuration; every rank of the world calls it."""
    strategy: Strategy = registry.load(registry.STRATEGIES, config.strategy.name)(config, world)
    strategy.connect()
    network = strategy.build()
    net = strategy.parallelize(network)
    optimizer, schedule = VelocitySGD(strategy.updated(network), config.train), Schedule(config.train)
    losses = []
    for step in range(steps):
        batch = own_rows(global_batch(config, step), strategy)
        lr = schedule.lr(epoch=config.train.epochs * step / steps)
        loss = strategy.train_step(net, optimizer, lr, batch.to(world.device, network.dtype), step)
        losses.append(_sum_over_ranks(loss if strategy.speaks_for_its_rows else torch.zeros_like(loss), world))
    return Steps(
        losses=losses,
        tensors={name: _whole(tensor) for name, tensor in canonical_tensors(strategy, network, optimizer).items()},
        counted_bytes=strategy.traffic.as_dict(scale=steps),
        predicted_bytes=strategy.predict_traffic(config.train.global_batch).as_dict(),
    )


def relative_difference(value: Tensor, reference: Tensor) -> float:
    """Norm of the difference over the norm of the reference; 0 where both are zero."""
    norm = float(reference.double().norm())
    difference = float((value.double() - reference.double()).norm())
    return difference / norm if norm else difference


def _whole(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor.clone()


def _sum_over_ranks(loss: Tensor, world: World) -> float:
    if world.world_size > 1:
        dist.all_reduce(loss)
    return float(loss)
