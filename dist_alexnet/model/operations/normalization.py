"""Local response normalisation in plain PyTorch. Krizhevsky et al. 2012, section 3.3.

Letters: B images, C channels, H W sides of a map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dist_alexnet.model.operations.contract import Kept, Kind, Operation, Part, Place

if TYPE_CHECKING:
    from torch import Tensor

LRN_SIZE, LRN_BETA, LRN_K = 5, 0.75, 2.0  # n, beta and k of the paper
LRN_BYTES = 4  # of a number, at least: squares and powers of bfloat16 would be too coarse


@dataclass(frozen=True)
class LocalResponseNorm(Operation):
    """Each channel divided by (k + alpha * sum of the squares of the `size` channels around it) ** beta, within its tower."""

    name: ClassVar[str] = "LRN"
    after: ClassVar[tuple[Kind, ...]] = ("conv",)
    reads_whole_towers: ClassVar[bool] = True
    alpha: float  # of the raw sum
    beta: float = LRN_BETA
    k: float = LRN_K
    size: int = LRN_SIZE

    def apply(self, x: Tensor, place: Place) -> Tensor:
        """See `local_response_norm`."""
        return local_response_norm(x, place.towers, self.alpha, self.beta, self.k, self.size)

    def kept(self, part: Part) -> Kept:
        """What it reads; squares with zeros around each tower, the base and the value of the power.

        In channels-last memory several towers are cut apart by a copy, which is then what is read; so are narrow numbers widened.
        """
        copied = part.towers > 1 or part.item_bytes < LRN_BYTES
        channels = 3 * part.channels + part.towers * (self.size - 1) + (part.channels if copied else 0)
        return Kept(reads=not copied, beside=channels * part.size**2 * max(part.item_bytes, LRN_BYTES))


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
    """Divide each channel by (k + alpha * sum of the squares of the `size` channels around it) ** beta; in float32 at least.

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
    from torch.nn import functional

    check_towers(x, towers)
    wide = x.float() if x.dtype.itemsize < LRN_BYTES else x
    tower_as_image = wide.reshape(x.shape[0] * towers, x.shape[1] // towers, *x.shape[2:])
    return functional.local_response_norm(tower_as_image, size, alpha * size, beta, k).reshape(x.shape).to(x.dtype)
