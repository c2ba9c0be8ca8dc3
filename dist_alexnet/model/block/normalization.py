"""Local response normalisation and overlapping pooling in plain PyTorch: the reference, for any dtype and device.

The fused op (`fused.py`) is tested against what is written here, and `block.py` chooses between the two.

Letters: B images, C channels, H W sides of a map. Source: Krizhevsky et al. 2012, sections 3.3 (normalisation) and 3.4 (pooling).
"""

from torch import Tensor
from torch.nn import functional

from dist_alexnet.model.layers import LRN_BETA, LRN_K, LRN_SIZE


def check_towers(x: Tensor, towers: int) -> None:
    """Refuse what is not [B, C, H, W] with C a multiple of `towers`.

    Raises:
        ValueError: says which of the two it is.
    """
    if x.dim() != 4:
        raise ValueError(f"expected images [B, C, H, W], got shape {list(x.shape)}")
    if towers < 1 or x.shape[1] % towers:
        raise ValueError(f"{x.shape[1]} channels do not split into {towers} equal towers")


def local_response_norm(x: Tensor, towers: int, alpha: float, beta: float = LRN_BETA, k: float = LRN_K, size: int = LRN_SIZE) -> Tensor:
    """Divide each channel by (k + alpha * sum of the squares of the `size` channels around it) ** beta.

    The window is truncated at the ends of a tower, because in 2012 the other tower was on the other GPU.

    Args:
        x: [B, C, H, W]; the channels are `towers` equal groups, one after the other.
        towers: number of groups that do not see each other.
        alpha: of the raw sum, as the paper has it. torch (and the authors' own parser) divide theirs by `size` first.
        beta: exponent.
        k: what is divided by where all activations are 0.
        size: channels in a window; odd.

    Raises:
        ValueError: x has not four dimensions, or C is not a multiple of `towers`.
    """
    check_towers(x, towers)
    tower_as_image = x.reshape(x.shape[0] * towers, x.shape[1] // towers, *x.shape[2:])
    return functional.local_response_norm(tower_as_image, size, alpha * size, beta, k).reshape(x.shape)


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
