"""ReLU, normalisation and overlapping pooling in plain PyTorch: the reference of the fused op, for any dtype and device.

The fused op (`fused.py`) is tested against what is written here, and `choose.py` chooses between the two.

Letters: B images, C channels, H W sides of a map. Source: Krizhevsky et al. 2012, sections 3.3 (normalisation) and 3.4 (pooling).
"""

from torch import Tensor
from torch.nn import functional

from dist_alexnet.model.operations.normalization import check_towers, local_response_norm


def plain_relu_lrn_pool(x: Tensor, towers: int, alpha: float | None) -> Tensor:
    """ReLU, then LRN unless `alpha` is None, then max-pool 3x3 with stride 2.

    Pooling rounds up: a window that hangs over the right or bottom edge takes the maximum of what is inside.

    Args:
        x: [B, C, H, W] with H and W of 2 or more.
        towers: number of channel groups that LRN keeps apart.
        alpha: of the raw sum in LRN, or None.

    Returns:
        [B, C, pooled_size(H), pooled_size(W)]; of tied maxima the first in row-major order gets the gradient.

    Raises:
        ValueError: x has not four dimensions, or C is not a multiple of `towers`.
    """
    check_towers(x, towers)
    x = functional.relu(x)
    if alpha is not None:
        x = local_response_norm(x, towers, alpha)
    return functional.max_pool2d(x, kernel_size=3, stride=2, ceil_mode=True)
