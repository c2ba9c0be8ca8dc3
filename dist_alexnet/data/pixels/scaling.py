"""Scale decoded photographs on the CPU, for training from them and for storing them.

torch's operator has vector code for bytes: 0.2 ms for a photograph of 500 x 375 pixels, where Pillow takes 1.1 ms and DALI's CPU
operator as long as decoding (one core of an AMD EPYC, 2026-11). Pillow's result and its own differ by one grey level at most.

A part is that of the whole square, but that torch takes as many digits for the weights of a row as the largest of them leaves room for:
a part that leaves that one out may differ by one grey level. From photographs to squares of 256 pixels we have seen none.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

LONGEST = 16  # times its shorter side: what a longer image has beyond that, at both ends, is not scaled, or one could take all memory


def scale_and_crop(image: Tensor, size: int, corner: Sequence[int] = (0, 0), side: int | None = None) -> Tensor:
    """A part of the central square of an image whose shorter side is scaled to the size.

    Args:
        image: uint8 [H, W, 3], H and W of any size.
        size: pixels.
        corner: of the part, pixels of the square below its upper edge and to the right of its left one.
        side: of the part, pixels; None: all of the square.

    Returns:
        uint8 [side, side, 3].
    """
    top, left = (max(0, each - LONGEST * min(image.shape[:2])) // 2 for each in image.shape[:2])
    image = image[top : image.shape[0] - top, left : image.shape[1] - left]
    shape = image.shape[:2]
    scale = size / min(shape)
    scaled = [max(size, round(each * scale)) for each in shape]
    starts = [(whole - size) // 2 + offset for whole, offset in zip(scaled, corner, strict=True)]
    stops = [start + (side or size) for start in starts]
    pixels = image[None].permute(0, 3, 1, 2)  # in this order the strides are those of channels-last memory, which the result then has, too
    if scaled != list(shape):
        # Rows and columns beyond the part are left out, a fifth of the work. The operator beneath `interpolate` (torch 2.14), for that
        # would change the scale to what is left.
        scales = [whole / each for whole, each in zip(scaled, shape, strict=True)]
        rows = math.ceil(stops[0] / scales[0] + max(1 / scales[0], 1)) + 1  # that have a part in the last one; all columns: no copy
        pixels = pixels[:, :, :rows]
        wanted = [stop + (stop == given) for stop, given in zip(stops, pixels.shape[2:], strict=True)]  # equal, it would not be scaled
        pixels = torch.ops.aten._upsample_bilinear2d_aa(pixels, wanted, False, *scales)
    return pixels.permute(0, 2, 3, 1)[0, starts[0] : stops[0], starts[1] : stops[1]]
