"""Which operations run as one: ReLU, LRN or not, and max-pool, by the fastest implementation that fits the tensor.

This is the only place that looks for a pattern in what follows a layer. The network and the prediction of its memory both ask `fuse`.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import ClassVar

import torch
from torch import Tensor

from dist_alexnet.model.block.plain import plain_relu_lrn_pool
from dist_alexnet.model.operations.activation import Relu
from dist_alexnet.model.operations.contract import Kept, Kind, Operation, Part, Place
from dist_alexnet.model.operations.normalization import LocalResponseNorm
from dist_alexnet.model.operations.pooling import MaxPool, pooled_size

FUSED = (torch.float32, torch.bfloat16)  # types that the fused op takes on the CPU

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReluLrnPool(Operation):
    """ReLU, LRN unless `alpha` is None, and max-pool, as one operation."""

    name: ClassVar[str] = "ReLU, LRN, max-pool"
    after: ClassVar[tuple[Kind, ...]] = ("conv",)
    reads_whole_towers: ClassVar[bool] = True
    alpha: float | None

    def apply(self, x: Tensor, place: Place) -> Tensor:
        """See `relu_lrn_pool`."""
        return relu_lrn_pool(x, place.towers, self.alpha)

    def kept(self, part: Part) -> Kept:
        """Of the fused op: what it reads, and a byte per output that says where in the window the maximum was."""
        return Kept(reads=True, beside=part.channels * pooled_size(part.size) ** 2)

    def result_size(self, size: int) -> int:
        """Of the pooling."""
        return pooled_size(size)


@lru_cache
def fuse(then: tuple[Operation, ...]) -> tuple[Operation, ...]:
    """The same operations, with each run that the fused op can do replaced by `ReluLrnPool`."""
    steps: list[Operation] = []
    rest = then
    while rest:
        found, length = _run(rest)
        steps.append(found)
        rest = rest[length:]
    return tuple(steps)


def _run(then: tuple[Operation, ...]) -> tuple[Operation, int]:
    """What to do first, and how many operations that does. All but alpha are constants in the fused op's code, and so in the pattern."""
    if then[:2] == (Relu(), MaxPool()):
        return ReluLrnPool(None), 2
    alpha = then[1].alpha if len(then) > 2 and isinstance(then[1], LocalResponseNorm) else None
    if alpha is not None and then[:3] == (Relu(), LocalResponseNorm(alpha), MaxPool()):
        return ReluLrnPool(alpha), 3
    return then[0], 1


def relu_lrn_pool(x: Tensor, towers: int, alpha: float | None) -> Tensor:
    """`plain_relu_lrn_pool`, by the fused op where x is of a type that it takes, on the CPU, and numba is installed.

    Args:
        x: [B, C, H, W] with H and W of 2 or more.
        towers: number of channel groups that LRN keeps apart.
        alpha: of the raw sum in LRN, or None for no LRN.

    Returns:
        [B, C, pooled_size(H), pooled_size(W)].

    Raises:
        ValueError: x has not four dimensions, or C is not a multiple of `towers`.
    """
    fused = x.device.type == "cpu" and x.dtype in FUSED
    return (_on_cpu() if fused else plain_relu_lrn_pool)(x, towers, alpha)


@cache
def _on_cpu() -> Callable[[Tensor, int, float | None], Tensor]:
    if find_spec("numba") is None:
        logger.warning("numba is not installed: ReLU, LRN and pooling run unfused, about 40 times slower; pip install numba")
        return plain_relu_lrn_pool
    # Here, not above: importing numba takes 0.2 s, and compiling the kernels for the first time some seconds. `--help` need not pay that.
    from dist_alexnet.model.block.fused import fused_relu_lrn_pool

    return fused_relu_lrn_pool
