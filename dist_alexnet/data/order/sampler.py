"""The order of the images, as one endless stream of positions.

Step k of global batch B takes positions [k*B, (k+1)*B). Position p belongs to epoch p // N and is element p % N of that epoch's
permutation. So a batch may straddle two epochs, every image comes exactly once per epoch, no batch is ever ragged, and a run can be
restarted or spread over another number of ranks at any step.

An epoch's permutation is never written down: the image of a position is computed, so that a set of 14 million images starts as fast
as one of fourteen and takes as much memory. Each of 64 rounds pairs image x with image (key - x) mod N and lets the two change places
or not, by a pseudorandom bit of the pair; a round is its own inverse, so that together they are a permutation whatever the keys are.

Source: Hoang, Morris, Rogaway: "An enciphering scheme based on a card shuffle" (swap-or-not), CRYPTO 2012, section 2.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from dist_alexnet.machine.compiled import compiled
from dist_alexnet.philox import MASK, philox

ROUNDS = 64  # after r rounds a card has not moved at all with probability 2^-r
ORDER = 0x4F524452  # "ORDR", second word of the key: separates these numbers from others drawn under the same seed


class Sampler:
    """Image of each position of the stream. It depends on the three arguments and on nothing else."""

    def __init__(self, num_images: int, seed: int, shuffle: bool) -> None:
        self.num_images = num_images
        self.seed = seed
        self.shuffle = shuffle

    def indices(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """Image indices, int64 [stop - start], at positions [start, stop)."""
        epochs, elements = np.divmod(np.arange(start, stop, dtype=np.int64), self.num_images)
        if self.shuffle:
            for epoch in np.unique(epochs).tolist():
                here = epochs == epoch
                elements[here] = permuted(elements[here], self.num_images, self.seed, epoch)
        return elements


def permuted(elements: npt.NDArray[np.int64], num_images: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """Images, int64 [n], at these elements of the permutation of [0, num_images) that belongs to (seed, epoch)."""
    rounds = np.arange(ROUNDS, dtype=np.int64)
    words = philox((rounds, epoch & MASK, epoch >> 32, seed >> 32), (seed & MASK, ORDER))
    pairing, secret = ((high.astype(np.uint64) << np.uint64(32)) | low.astype(np.uint64) for high, low in (words[:2], words[2:]))
    images = elements.astype(np.uint64)
    _swap_or_not(images, np.uint64(num_images), pairing % np.uint64(num_images), secret)
    return images.astype(np.int64)


@compiled(nogil=True)
def _swap_or_not(images: Any, num_images: Any, pairing: Any, secret: Any) -> None:
    """In place; half a microsecond an image."""
    for i in range(len(images)):
        x = images[i]
        for r in range(len(pairing)):
            partner = pairing[r] + (num_images - x)
            if partner >= num_images:
                partner -= num_images
            bit = max(x, partner) ^ secret[r]  # the same for both, then mixed as MurmurHash3 ends
            bit = (bit ^ (bit >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
            bit = (bit ^ (bit >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
            if bit >> np.uint64(63):
                x = partner
        images[i] = x
