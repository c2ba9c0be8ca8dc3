"""Parts of the square of a photograph: the same bytes as those of the photograph scaled as a whole."""

import numpy as np
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import interpolate

from dist_alexnet.data.scaling import scale_and_crop

SIDES = st.integers(1, 120)


def scaled_as_a_whole(image: Tensor, size: int) -> Tensor:
    height, width = image.shape[:2]
    scaled_to = [max(size, round(side * size / min(height, width))) for side in (height, width)]
    scaled = interpolate(image[None].permute(0, 3, 1, 2), scaled_to, mode="bilinear", antialias=True)
    top, left = ((side - size) // 2 for side in scaled_to)
    return scaled.permute(0, 2, 3, 1)[0, top : top + size, left : left + size]


@given(height=SIDES, width=SIDES, size=st.integers(1, 64), cut=st.integers(0, 32), corner=st.tuples(st.floats(0, 1), st.floats(0, 1)))
@example(height=222, width=314, size=224, cut=0, corner=(0.0, 0.0))  # as wide as what is needed of it once it is scaled
@example(height=48, width=48, size=48, cut=16, corner=(1.0, 0.5))
def test_a_part_is_that_of_the_whole(height: int, width: int, size: int, cut: int, corner: tuple[float, float]) -> None:
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))
    whole = scaled_as_a_whole(image, size)
    assert torch.equal(scale_and_crop(image, size), whole)
    side = max(1, size - cut)
    y, x = (round(fraction * (size - side)) for fraction in corner)
    assert torch.equal(scale_and_crop(image, size, (y, x), side), whole[y : y + side, x : x + side])
