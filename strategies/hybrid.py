"""Pairs of GPUs as in 2012, and data parallelism over the pairs.

    ranks 0 1 | 2 3 | ...     each pair splits the channels of every layer and has its own rows of the batch
          a b   a b           ranks with the same tower hold the same weights, and sum their gradients while the backward pass still runs

Half of the gradients of `ddp` cross between the pairs, and the activations of `channel_split` within them: by volume that is less than
ddp as long as a pair has fewer than about 1,000 images.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from dist_alexnet.config import Config, UsageError, check_positive
from dist_alexnet.parallel.exchanges.gradients import BUCKET_MIB
from strategies.towers import TowerOptions, Towers, lack_of_towers


@dataclass(frozen=True)
class HybridOptions(TowerOptions):
    """Options of `hybrid`."""

    bucket_mib: float = BUCKET_MIB  # gradients that travel in one message, in MiB

    def __post_init__(self) -> None:
        check_positive("strategy.options", self, "bucket_mib")


class Hybrid(Towers):
    """Channel-split pairs under data parallelism: a mesh of `data` x `tower`."""

    name = "hybrid"
    default_ranks = 4
    node_axes = ("tower",)
    Options = HybridOptions
    variants = ({}, {"fc8": "first"})

    @classmethod
    def refuses(cls, config: Config, world_size: int) -> str:
        """An odd number of ranks, and a model without two towers."""
        if world_size % 2:
            return (
                f"hybrid needs pairs of ranks, but --gpus is {world_size}; type --gpus {world_size + 1}, "
                f"or --strategy ddp to stay with {world_size}"
            )
        return lack_of_towers(config, "hybrid puts one tower on each rank of a pair")

    @classmethod
    def axes(cls, config: Config, world_size: int) -> Mapping[str, int]:
        """Pairs, neighbours in rank."""
        return {"data": world_size // 2, "tower": 2}

    def validate(self) -> None:
        """No pair may span two nodes: it exchanges activations on each step's critical path."""
        if where := self.world.divided_groups(2):
            raise UsageError(
                f"hybrid would spread a pair of ranks (0 and 1, 2 and 3, ...) over two nodes ({where}); put an even number on each"
            )

    @property
    def bucket_mib(self) -> float:
        """Of the gradients that are summed over the ranks with the same tower."""
        mib: float = self.options.bucket_mib
        return mib
