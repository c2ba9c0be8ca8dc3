"""The random numbers of each training image: crop offset, mirror and colour noise (paper, section 4.1).

They are drawn here and not inside the image pipeline, as pure functions of (seed, position in the stream): the same image gets the
same numbers whichever rank loads it, after any restart, and with any number of decoder threads.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dist_alexnet.config import AugmentConfig
from dist_alexnet.data.philox import MASK, philox

AUGMENT = 0x4155474D  # "AUGM", second word of the key: separates these numbers from others drawn under the same seed
GEOMETRY, COLOR = 0, 1  # third word of the counter

# Principal components of the pixels of ImageNet's training set, in RGB: standard deviations in grey levels (0-255), eigenvectors in
# columns of the same order. Source: cuda-convnet2, make-data/input_meta.
STDEVS = np.array([19.7208, 37.0939, 121.7801])
EIGENVECTORS = np.array([[0.41796, -0.71258, -0.56351], [-0.81698, -0.02354, -0.57618], [0.39731, 0.70120, -0.59200]])

Array = npt.NDArray[np.float32]
Words = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Augmentation:
    """What happens to n images; pixels of the store_size square, grey levels of 0-255."""

    crop_y: Words  # [n], rows above the crop, 0..max_offset
    crop_x: Words  # [n], columns left of it
    mirror: Words  # [n], 1: left and right change places, after the crop
    color: Array  # [n, 3], added to R, G, B of all pixels of the image


def draw(config: AugmentConfig, seed: int, positions: Words, max_offset: int) -> Augmentation:
    """The augmentation of the images at these positions, int64 [n], of the stream. Offsets go from 0 to max_offset inclusive."""
    still = center(len(positions), max_offset)
    word_y, word_x, word_mirror, _ = _words(seed, positions, GEOMETRY)
    return Augmentation(
        crop_y=word_y * (max_offset + 1) >> 32 if config.crop else still.crop_y,
        crop_x=word_x * (max_offset + 1) >> 32 if config.crop else still.crop_x,
        mirror=word_mirror >> 31 if config.mirror else still.mirror,
        color=still.color if config.color == "none" else _color(config, _normals(_words(seed, positions, COLOR))),
    )


def center(n: int, max_offset: int) -> Augmentation:
    """The central crop of n images, unchanged otherwise."""
    middle = np.full(n, max_offset // 2)
    return Augmentation(crop_y=middle, crop_x=middle, mirror=np.zeros(n, np.int64), color=np.zeros((n, 3), np.float32))


def divisor(config: AugmentConfig) -> float:
    """What training images are divided by after the noise: the authors' code keeps its stronger noise near the scale of validation."""
    return 1.1 if config.color == "code" else 1.0  # cuda-convnet2, convdata_jpeg.py


def _color(config: AugmentConfig, normals: npt.NDArray[np.float64]) -> Array:
    """Shift of R, G, B in grey levels, float32 [n, 3], from normal numbers [n, 3].

    The paper multiplies each eigenvector by alpha * eigenvalue. An eigenvalue is a variance, so that the rule depends on the unit of a
    pixel: at 0-255 the largest is 14,830 and would wipe the image out. We take pixels of 0-1, as those who followed the paper did
    (0.00598, 0.02116, 0.22807), and the shift back to grey levels: stdev**2 / 255 = 1.5, 5.4 and 58.2. The authors' code multiplies
    by the standard deviation instead, which has no such choice in it and is 13, 7 and 2 times stronger.
    """
    scales = STDEVS**2 / 255 if config.color == "paper" else STDEVS
    shift: Array = ((normals * (config.color_std * scales)) @ EIGENVECTORS.T).astype(np.float32)
    return shift


def _words(seed: int, positions: Words, use: int) -> tuple[Words, Words, Words, Words]:
    return philox((positions & MASK, positions >> 32, use, seed >> 32), (seed & MASK, AUGMENT))


def _normals(words: tuple[Words, Words, Words, Words]) -> npt.NDArray[np.float64]:
    """Three standard normal numbers per image, [n, 3], by Box and Muller's method."""
    uniform = [(word + 0.5) / 2**32 for word in words]  # never 0, whose logarithm is infinite
    radius0, radius1 = (np.sqrt(-2 * np.log(u)) for u in uniform[:2])
    angle0, angle1 = (2 * np.pi * u for u in uniform[2:])
    return np.stack([radius0 * np.cos(angle0), radius0 * np.sin(angle0), radius1 * np.cos(angle1)], axis=1)
