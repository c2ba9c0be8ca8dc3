"""Overlapping pooling. Krizhevsky et al. 2012, section 3.4."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dist_alexnet.model.operations.contract import Kept, Kind, Operation, Part, Place

if TYPE_CHECKING:
    from torch import Tensor

INDEX_BYTES = 8  # of the position that torch's max-pool keeps per output


@dataclass(frozen=True)
class MaxPool(Operation):
    """The maximum of each 3x3 window, 2 apart; one that hangs over the right or bottom edge takes what is inside.

    Of tied maxima the first in row-major order gets the gradient.
    """

    name: ClassVar[str] = "max-pool"
    after: ClassVar[tuple[Kind, ...]] = ("conv",)

    def apply(self, x: Tensor, place: Place) -> Tensor:
        """[B, C, H, H] with H of 2 or more."""
        from torch.nn import functional

        return functional.max_pool2d(x, kernel_size=3, stride=2, ceil_mode=True)

    def kept(self, part: Part) -> Kept:
        """What it reads, and for each output where the maximum was."""
        return Kept(reads=True, beside=part.channels * pooled_size(part.size) ** 2 * INDEX_BYTES)

    def result_size(self, size: int) -> int:
        """See `pooled_size`."""
        return pooled_size(size)


def pooled_size(side: int) -> int:
    """Side of the map after a 3x3 max-pool with stride 2, which rounds up."""
    return 1 + math.ceil((side - 3) / 2)
