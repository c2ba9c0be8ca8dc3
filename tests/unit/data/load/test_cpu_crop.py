"""The CPU's crop, mirror and normalisation against numpy, and memory that is only filled again when nobody holds it."""

import numpy as np
import pytest
import torch

from dist_alexnet.data.load.cpu_crop import Cropper, Recycler
from dist_alexnet.data.order.augment import Augmentation


@pytest.mark.parametrize(("height", "width", "size"), [(40, 40, 36), (37, 41, 36), (36, 36, 36), (9, 9, 1)])
@pytest.mark.parametrize("per_pixel", [False, True])
def test_it_equals_numpy(height: int, width: int, size: int, per_pixel: bool) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, height, width, 3), np.uint8)
    y, x = rng.integers(0, height - size + 1, 6), rng.integers(0, width - size + 1, 6)
    mirror, color = np.arange(6) % 2, rng.normal(0, 10, (6, 3)).astype(np.float32)
    mean = rng.normal(100, 10, (size, size, 3) if per_pixel else (1, 1, 3)).astype(np.float32)
    divide = np.float32([1, 1, 2, 2, 4, 4])
    out = np.empty((6, size, size, 3), np.float32)
    Cropper(size, mean, 2.0)(images, Augmentation(y, x, mirror, color, divide), out)
    for i in range(6):
        crop = images[i, y[i] : y[i] + size, x[i] : x[i] + size].astype(np.float32)
        expected = (crop[:, ::-1] if mirror[i] else crop) - mean + color[i]
        np.testing.assert_array_equal(out[i], expected * (np.float32(0.5) / divide[i]))


def test_each_size_is_kept_in_a_file_of_its_own() -> None:
    """Numba's index of a file may be written by two processes at once, and then leads from one size to the loop of another."""
    names = {Cropper(size, np.zeros((1, 1, 3), np.float32), 1.0)._fill.__qualname__ for size in (8, 9)}
    assert names == {"fill_8", "fill_9"}


def test_memory_is_recycled_when_nobody_holds_it() -> None:
    recycler = Recycler()
    first = torch.from_numpy(recycler.empty((2, 3)))
    second = torch.from_numpy(recycler.empty((2, 3)))
    assert first.data_ptr() != second.data_ptr()
    view, address = first[1:], first.data_ptr()
    del first
    assert torch.from_numpy(recycler.empty((2, 3))).data_ptr() != address, "a view still holds it"
    del view
    assert torch.from_numpy(recycler.empty((2, 3))).data_ptr() == address


def test_another_shape_starts_anew() -> None:
    recycler = Recycler()
    recycler.empty((2, 3))
    assert recycler.empty((4, 3)).shape == (4, 3)
