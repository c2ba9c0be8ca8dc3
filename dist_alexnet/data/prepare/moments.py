"""Mean image and covariance of the colours of a set of squares (paper, sections 2 and 4.1).

Sums of integers: they are exact, and therefore the same in whatever order, by however many processes, images are added.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dist_alexnet.data.statistics import Statistics
from dist_alexnet.machine.compiled import compiled


@dataclass
class Moments:
    """Sums over squares of one size."""

    images: int
    sums: npt.NDArray[np.integer[Any]]  # [size, size, 3], of each pixel
    products: npt.NDArray[np.int64]  # [3, 3], of the colours of a pixel with each other, over all pixels

    @classmethod
    def none(cls, size: int) -> "Moments":
        """Of no image yet."""
        return cls(0, np.zeros((size, size, 3), np.int64), np.zeros((3, 3), np.int64))

    def add(self, pixels: npt.NDArray[np.uint8]) -> None:
        """One more square, uint8 [size, size, 3]."""
        self.images += 1
        _add(self.sums.reshape(-1), self.products, np.ascontiguousarray(pixels).reshape(-1))

    def plus(self, other: "Moments | None") -> "Moments":
        """Those of both sets of squares."""
        other = other or Moments.none(len(self.sums))
        return Moments(self.images + other.images, np.add(self.sums, other.sums, dtype=np.int64), self.products + other.products)

    def packed(self) -> "Moments":
        """With numbers as short as can be, to be sent elsewhere and added there: a quarter of the bytes."""
        return Moments(self.images, self.sums.astype(np.min_scalar_type(255 * self.images)), self.products)

    def statistics(self) -> Statistics:
        """Mean of each colour and pixel, and principal components of the colours of all pixels."""
        pixels = self.images * self.sums[..., 0].size
        mean = self.sums.sum(axis=(0, 1)) / pixels
        variances, vectors = np.linalg.eigh(self.products / pixels - np.outer(mean, mean))
        mean_image = (self.sums / self.images).astype(np.float32)
        return Statistics(self.images, mean.tolist(), np.sqrt(variances.clip(0)).tolist(), vectors.tolist(), mean_image=mean_image)


@compiled(nogil=True)
def _add(sums: Any, products: Any, pixels: Any) -> None:
    for i in range(len(pixels)):
        sums[i] += pixels[i]
    rr = gg = bb = rg = rb = gb = np.int64(0)
    for i in range(0, len(pixels), 3):
        red, green, blue = np.int64(pixels[i]), np.int64(pixels[i + 1]), np.int64(pixels[i + 2])
        rr += red * red
        gg += green * green
        bb += blue * blue
        rg += red * green
        rb += red * blue
        gb += green * blue
    products += np.array([[rr, rg, rb], [rg, gg, gb], [rb, gb, bb]])
