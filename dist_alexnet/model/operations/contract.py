"""What an operation states about itself. A network, its memory and its checkpoints follow from that, and ask nobody which operation it is.

The table of a network is read where PyTorch is not imported yet (a checkpoint that cannot be resumed is refused at once), so an operation
is data, and imports PyTorch where it is applied.

Letters: B images, C channels of this rank's share, H side of a map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["conv", "linear"]  # of a layer's linear map
MaskWatcher = Callable[[int, "Tensor", slice, "Tensor"], None]  # is told layer, rows, units and mask of a dropout


@dataclass(frozen=True)
class Draw:
    """What the random numbers of one forward pass depend on, besides layer and unit."""

    seed: int
    step: int
    rows: Tensor  # [B] int64: rows of the global batch
    watch: MaskWatcher | None = None


@dataclass(frozen=True)
class Place:
    """Where an operation is applied: a rank's share of a layer, in one pass."""

    layer: int  # its index
    name: str  # of the layer
    units: slice  # of the layer's output channels, those of this share
    towers: int  # into which these fall
    training: bool
    draw: Draw | None  # there in training
    tensors: Mapping[str, Tensor] = field(default_factory=dict)  # what the layer's operations brought, of this share's channels


@dataclass(frozen=True)
class Part:
    """What an operation reads of one image on one rank."""

    channels: int
    size: int  # side of the map; 1 after a linear layer
    towers: int  # into which the channels fall
    item_bytes: int  # of a number

    @property
    def bytes(self) -> int:
        """Of the map."""
        return self.channels * self.size**2 * self.item_bytes


@dataclass(frozen=True)
class Kept:
    """What autograd holds of an operation between the forward and the backward pass."""

    reads: bool = False  # the map that it reads
    gives: bool = False  # the map that it gives
    beside: int = 0  # bytes per image of anything else


@dataclass(frozen=True)
class OwnTensor:
    """A tensor that an operation brings: a number, or a block of numbers, for each output channel of the layer.

    It is cut by output channels as the layer's weight is. A buffer must come out the same on all ranks that hold the same channels.
    """

    initial: float  # value of every element
    shape: tuple[int, ...] = ()  # of one channel's block
    trained: bool = True  # False: a buffer, which no gradient changes
    rate: float = 1.0  # times the learning rate
    decay: float = 0.0  # times the weight decay


class Operation:
    """A subclass is a frozen dataclass, so that layers that are alike are equal. `apply` and `kept` are all that most have to say."""

    name: ClassVar[str]  # as `explain` prints it
    after: ClassVar[tuple[Kind, ...]] = ("conv", "linear")  # the linear maps that it may follow
    reads_whole_towers: ClassVar[bool] = False  # a channel depends on others of its tower, so a share must not cut through one

    def apply(self, x: Tensor, place: Place) -> Tensor:
        """[B, C, H, H] -> [B, C, H', H'], or [B, C] -> [B, C] after a linear layer; differentiable, and x stays as it is."""
        raise NotImplementedError

    def kept(self, part: Part) -> Kept:
        """What autograd keeps of `apply` in training, for one image: torch's documentation of its operators does not say, a test does."""
        raise NotImplementedError

    def result_size(self, size: int) -> int:
        """Side of the map that it gives, from the side of the one that it reads."""
        return size

    def tensors(self) -> Mapping[str, OwnTensor]:
        """Name -> tensor that it brings; in a checkpoint `conv1.NAME`, so no two operations of a layer may share a name."""
        return {}

    def multiply_adds(self, channels: int, size: int) -> int:
        """Per image, forward. By the count of the paper, which is that of linear maps, 0 for what works element by element."""
        return 0
