r"""The two GPUs of 2012: each holds one tower, half of the channels of every layer, and they talk where the figure's lines cross.

    rank 0   conv1a - conv2a - \ / - conv3a - conv4a - conv5a - \ / - fc6a - \ / - fc7a - \ / - fc8a
    rank 1   conv1b - conv2b - / \ - conv3b - conv4b - conv5b - / \ - fc6b - / \ - fc7b - / \ - fc8b

Both ranks see every image. Krizhevsky et al. 2012, section 3.5 and figure 2.
"""

from collections.abc import Mapping

from dist_alexnet.config import Config
from strategies.towers import Towers, lack_of_towers


class ChannelSplit(Towers):
    """One tower on each of two ranks; no weight is held twice."""

    name = "channel_split"
    variants = ({}, {"overlap": False}, {"fc8": "first"})

    @classmethod
    def refuses(cls, config: Config, world_size: int) -> str:
        """All but two ranks, and a model without the two towers that are to be split."""
        if world_size != 2:
            instead = "--strategy single" if world_size == 1 else "--strategy ddp"
            return (
                f"channel_split puts one tower on each of 2 ranks, but --gpus is {world_size}; "
                f"type --gpus 2, or {instead} to stay with {world_size}"
            )
        return lack_of_towers(config, "channel_split puts one tower on each rank")

    @classmethod
    def axes(cls, config: Config, world_size: int) -> Mapping[str, int]:
        """One axis of two coordinates."""
        return {"tower": 2}
