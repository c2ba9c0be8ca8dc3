"""Parts of the square of a photograph, against the photograph scaled as a whole."""

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import interpolate

from dist_alexnet.data.pixels.scaling import LONGEST, scale_and_crop

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
@example(height=62, width=107, size=31, cut=23, corner=(18 / 23, 4 / 23))  # a grey level off
def test_a_part_is_that_of_the_whole(height: int, width: int, size: int, cut: int, corner: tuple[float, float]) -> None:
    assume(max(height, width) <= LONGEST * min(height, width))
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))
    whole = scaled_as_a_whole(image, size)
    assert torch.equal(scale_and_crop(image, size), whole)
    side = max(1, size - cut)
    y, x = (round(fraction * (size - side)) for fraction in corner)
    difference = scale_and_crop(image, size, (y, x), side).int() - whole[y : y + side, x : x + side]
    assert difference.abs().max() <= 1


@pytest.mark.parametrize(("height", "width"), [(375, 500), (500, 333), (256, 400), (1200, 1600), (90, 60)])
def test_a_crop_of_a_photograph_has_the_same_bytes(height: int, width: int) -> None:
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))
    whole = scaled_as_a_whole(image, 256)
    for y, x in ((0, 0), (16, 16), (32, 32), (5, 29)):
        assert torch.equal(scale_and_crop(image, 256, (y, x), 224), whole[y : y + 224, x : x + 224])


def test_the_ends_of_a_very_long_image_are_not_scaled() -> None:
    """A JPEG of 1 x 65,500 pixels would become one of 256 x 16,768,000."""
    ramp = torch.arange(65_500).div(256, rounding_mode="floor").to(torch.uint8)[:, None, None].expand(-1, 1, 3).contiguous()
    for image in (ramp, ramp.permute(1, 0, 2).contiguous()):
        square = scale_and_crop(image, 256)
        assert square.shape == (256, 256, 3)
        assert square.unique().tolist() == [127]
