"""Crop, mirror and normalise decoded images on the CPU, in one pass.

DALI's own operator does the same on a GPU in no time, but on a CPU it takes 130 us for an image of 224 pixels and 195 us for a mirrored
one, next to 300 us for decoding it; this takes 23 and 24 us (one core of an AMD EPYC, DALI 2.4, 2026-11). numba compiles it on first use,
about a second for each size, and keeps it on disk.
"""

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from dist_alexnet.data.order.augment import Augmentation
from dist_alexnet.machine.compiled import compiled

ONE, TWO, THREE = (
    np.uint64(1),
    np.uint64(2),
    np.uint64(3),
)  # numba allows for negative indices, three times slower, where a sign is possible


class Recycler:
    """Arrays of one shape, given out again when nobody holds them any more.

    The system hands out new memory page by page, zeroed: for a batch of 128 crops that takes as long as filling it.
    """

    def __init__(self) -> None:
        self._arrays: list[npt.NDArray[np.float32]] = []

    def empty(self, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """An array with anything in it."""
        self._arrays = [array for array in self._arrays if array.shape == shape]
        for position in range(len(self._arrays)):
            if sys.getrefcount(self._arrays[position]) == 2:  # this list and the argument; a tensor that shares the memory counts too
                return self._arrays[position]
        self._arrays.append(np.empty(shape, np.float32))
        return self._arrays[-1]


class Cropper:
    """(pixels - mean + colour) / (std * divide) of crops.

    Args:
        size: S, pixels.
        mean: [S, S, 3] or [1, 1, 3] grey levels.
        std: grey levels that one unit of the result stands for.
    """

    def __init__(self, size: int, mean: npt.NDArray[np.float32], std: float) -> None:
        self._mean = np.broadcast_to(mean, (len(mean), size, 3)).reshape(len(mean), 3 * size)
        self._std = std
        self._size, self._fill = size, _compiled(size)

    def __call__(self, images: npt.NDArray[np.uint8], augmentation: Augmentation, out: npt.NDArray[np.float32]) -> None:
        """Crop these images.

        Args:
            images: [b, H, W, 3]; where H and W are S, they have been cropped already.
            augmentation: of these b images.
            out: [b, S, S, 3], contiguous in memory.
        """
        assert out.flags.c_contiguous
        view, scale = augmentation, (1 / (self._std * augmentation.divide)).astype(np.float32)
        places = view.crop_y, view.crop_x
        if images.shape[1:3] == (self._size, self._size):
            places = np.zeros_like(view.crop_y), np.zeros_like(view.crop_x)
        sources, targets = (each.reshape(*each.shape[:2], -1) for each in (images, out))
        self._fill(targets, sources, *places, view.mirror, self._mean, view.color, scale)


@lru_cache
def _compiled(size: int) -> Callable[..., None]:
    """The loop for crops of this size, which is a constant in it: else a mirrored image takes 51 us.

    It takes rows of width numbers, channels included: neighbours in memory, which it handles with vector instructions.
    """
    width = 3 * size
    last = np.uint64(size - 1)

    def fill(targets: Any, sources: Any, crop_y: Any, crop_x: Any, mirror: Any, means: Any, color: Any, scale: Any) -> None:
        shift, turned = np.empty(width, np.float32), np.empty(width, np.uint8)
        for i in range(len(targets)):
            for x in range(width):
                shift[x] = color[i, x % 3]
            for y in range(size):
                pixels = sources[i, crop_y[i] + y, 3 * crop_x[i] : 3 * crop_x[i] + width]
                if mirror[i]:
                    for pixel in range(last + ONE):  # backwards, but red before blue
                        to, source = THREE * pixel, THREE * (last - pixel)
                        turned[to], turned[to + ONE], turned[to + TWO] = pixels[source], pixels[source + ONE], pixels[source + TWO]
                    pixels = turned
                mean, target = means[y % len(means)], targets[i, y]
                for x in range(width):
                    target[x] = (np.float32(pixels[x]) - mean[x] + shift[x]) * scale[i]

    fill.__qualname__ = f"fill_{size}"  # a file of its own on disk: numba mixes up constants of processes that write one at a time
    return compiled(nogil=True)(fill)
