"""One process, the whole network: the reference that every other strategy is compared with."""

from collections.abc import Mapping

from dist_alexnet.config import Config
from dist_alexnet.parallel.strategy import Strategy


class Single(Strategy):
    """Nothing is split and nothing is exchanged."""

    name = "single"
    default_ranks = 1

    @classmethod
    def refuses(cls, config: Config, world_size: int) -> str:
        """All but one rank."""
        if world_size == 1:
            return ""
        return f"single runs on 1 rank, not on {world_size}; type --gpus 1, or --strategy ddp to use {world_size}"

    @classmethod
    def axes(cls, config: Config, world_size: int) -> Mapping[str, int]:
        """No axis: a mesh of one rank."""
        return {}
