r"""The two GPUs of 2012: each holds one tower, half of the channels of every layer, and they talk where the figure's lines cross.

    rank 0   conv1a - conv2a - \ / - conv3a - conv4a - conv5a - \ / - fc6a - \ / - fc7a - \ / - fc8a
    rank 1   conv1b - conv2b - / \ - conv3b - conv4b - conv5b - / \ - fc6b - / \ - fc7b - / \ - fc8b

Both ranks see every image. A crossing joins both halves of a layer's input on both ranks, and brings the sum of both gradients back to
where each half came from. Krizhevsky et al. 2012, section 3.5 and figure 2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dist_alexnet.config import UsageError
from dist_alexnet.model.layers import Layer
from dist_alexnet.parallel.exchanges.exchange import Exchange, Wire
from dist_alexnet.parallel.placement import Owner, Placement, Shard
from dist_alexnet.parallel.strategy import Strategy


@dataclass(frozen=True)
class ChannelSplitOptions:
    """Options of `channel_split`."""

    fc8: Literal["split", "first"] = "split"  # half of the classes on each rank | all on the first, as in 2012
    wire: Wire = "full"  # bfloat16 or float16: half the bytes between the towers, and no longer exact; the authors tried float16
    overlap: bool = True  # hide an exchange behind the half of the layer's product whose input is already here


class ChannelSplit(Strategy):
    """One tower on each of two ranks; no weight is held twice."""

    name = "channel_split"
    Options = ChannelSplitOptions
    variants = ({}, {"overlap": False}, {"fc8": "first"})

    def axes(self, world_size: int) -> Mapping[str, int]:
        """One axis of two coordinates."""
        if world_size != 2:
            instead = "--strategy single" if world_size == 1 else "--strategy ddp"
            raise UsageError(
                f"channel_split puts one tower on each of 2 ranks, but --gpus is {world_size}; "
                f"type --gpus 2, or {instead} to stay with {world_size}"
            )
        return {"tower": 2}

    def validate(self) -> None:
        """The model must have the two towers that are to be split."""
        if self.config.model.towers != 2:
            raise UsageError(
                f"channel_split puts one tower on each rank, but model.towers={self.config.model.towers}; "
                "type model.towers=2, or another --strategy"
            )

    def placement(self, layer: Layer) -> Mapping[str, Placement]:
        """Half of the output channels of every layer on each rank."""
        if layer.name == "fc8" and self.options.fc8 == "first":
            return {"tower": Owner(0)}
        return {"tower": Shard(0)}

    def exchange(self, layer: Layer) -> Exchange | None:
        """The layers that read both towers: conv3 and the fully connected ones, unless model.connect says otherwise."""
        if layer.groups > 1 or layer.name == "conv1":
            return None
        if layer.name == "fc8" and self.options.fc8 == "first":
            return Exchange("tower", reader=0, wire=self.options.wire)
        return Exchange("tower", wire=self.options.wire, overlap=self.options.overlap)
