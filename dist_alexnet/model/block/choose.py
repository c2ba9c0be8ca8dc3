"""What the network calls after a convolution: ReLU, LRN and max-pool, by the fastest implementation that fits the tensor."""

import logging
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from dist_alexnet.model.block.normalization import plain_relu_lrn_pool

logger = logging.getLogger(__name__)


def relu_lrn_pool(x: Tensor, towers: int, alpha: float | None) -> Tensor:
    """`plain_relu_lrn_pool`, by the fused op where x is in float32 on the CPU and numba is installed.

    Args:
        x: [B, C, H, W] with H and W of 2 or more.
        towers: number of channel groups that LRN keeps apart.
        alpha: of the raw sum in LRN, or None for no LRN.

    Returns:
        [B, C, pooled_size(H), pooled_size(W)].

    Raises:
        ValueError: x has not four dimensions, or C is not a multiple of `towers`.
    """
    fused = x.device.type == "cpu" and x.dtype == torch.float32
    return (_float32_on_cpu() if fused else plain_relu_lrn_pool)(x, towers, alpha)


@cache
def _float32_on_cpu() -> Callable[[Tensor, int, float | None], Tensor]:
    if find_spec("numba") is None:
        logger.warning("numba is not installed: ReLU, LRN and pooling run unfused, about 40 times slower; pip install numba")
        return plain_relu_lrn_pool
    # Here, not above: importing numba takes 0.2 s, and compiling the kernels for the first time some seconds. `--help` need not pay that.
    from dist_alexnet.model.block.fused import fused_relu_lrn_pool

    return fused_relu_lrn_pool
