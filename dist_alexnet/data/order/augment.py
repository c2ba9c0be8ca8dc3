"""The random numbers of each training image: crop offset, mirror and colour noise (paper, section 4.1).

They are drawn here and not inside the image pipeline, as pure functions of (seed, position in the stream): the same image gets the
same numbers whichever rank loads it, after any restart, and with any number of decoder threads.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from dist_alexnet.config import AugmentConfig
from dist_alexnet.data.statistics import IMAGENET, Statistics
from dist_alexnet.philox import MASK, philox

AUGMENT = 0x4155474D  # "AUGM", second word of the key: separates these numbers from others drawn under the same seed
GEOMETRY, COLOR = 0, 1  # third word of the counter
CODE_DIVIDE = 1.1  # by which the authors' code keeps its stronger noise near the scale of validation (convdata_jpeg.py)

VIEWS = ((0, 0), (0, 1), (0.5, 0.5), (1, 0), (1, 1))  # of an evaluation with ten, as fractions of the room; then the same mirrored

Array = npt.NDArray[np.float32]
Words = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Augmentation:
    """What happens to n images; pixels of the store_size square, grey levels of 0-255."""

    crop_y: Words  # [n], rows above the crop, 0..max_offset
    crop_x: Words  # [n], columns left of it
    mirror: Words  # [n], 1: left and right change places, after the crop
    color: Array  # [n, 3], added to R, G, B of all pixels of the image
    divide: Array  # [n], by which the pixels are divided after that

    def part(self, images: slice) -> "Augmentation":
        """Of some of these images."""
        return Augmentation(*(getattr(self, each.name)[images] for each in fields(self)))


def draw(
    config: AugmentConfig, seed: int, positions: Words, num_images: int, max_offset: int, statistics: Statistics = IMAGENET
) -> Augmentation:
    """The augmentation of the images at these positions of the stream.

    Args:
        config: what to do.
        seed: of the run.
        positions: int64 [n].
        num_images: of an epoch.
        max_offset: crops begin at 0 to max_offset inclusive.
        statistics: whose principal components the colour noise follows.
    """
    still = center(len(positions), max_offset)
    word_y, word_x, word_mirror, _ = _words(seed, positions // config.crop_chunk, GEOMETRY)
    noisy = np.full(len(positions), config.color in ("paper", "code"))
    if config.until_epoch is not None:
        noisy &= positions < config.until_epoch * num_images
    divide = config.divide if config.divide is not None else (CODE_DIVIDE if config.color == "code" else 1.0)
    return Augmentation(
        crop_y=word_y * (max_offset + 1) >> 32 if config.crop else still.crop_y,
        crop_x=word_x * (max_offset + 1) >> 32 if config.crop else still.crop_x,
        mirror=word_mirror >> 31 if config.mirror else still.mirror,
        color=_color(config, _normals(_words(seed, positions, COLOR)), statistics) * noisy[:, None] if noisy.any() else still.color,
        divide=np.where(noisy, np.float32(divide), np.float32(1)),
    )


def center(n: int, max_offset: int) -> Augmentation:
    """The central crop of n images, unchanged otherwise."""
    return _view(n, max_offset // 2, max_offset // 2, mirror=0)


def ten_views(n: int, max_offset: int) -> list[Augmentation]:
    """Corners and centre of n images in the authors' order (convdata_jpeg.py), then all five mirrored."""
    places = [(int(y * max_offset), int(x * max_offset)) for y, x in VIEWS]
    return [_view(n, y, x, mirror) for mirror in (0, 1) for y, x in places]


def _view(n: int, y: int, x: int, mirror: int) -> Augmentation:
    color, divide = np.zeros((n, 3), np.float32), np.ones(n, np.float32)
    return Augmentation(np.full(n, y), np.full(n, x), np.full(n, mirror), color, divide)


def _color(config: AugmentConfig, normals: npt.NDArray[np.float64], statistics: Statistics) -> Array:
    """Shift of R, G, B in grey levels, float32 [n, 3], from normal numbers [n, 3].

    The paper multiplies each eigenvector by alpha * eigenvalue. An eigenvalue is a variance, so that the rule depends on the unit of a
    pixel: at 0-255 the largest is 14,830 and would wipe the image out. We take pixels of 0-1, as those who followed the paper did
    (0.00598, 0.02116, 0.22807), and the shift back to grey levels: stdev**2 / 255 = 1.5, 5.4 and 58.2. The authors' code multiplies
    by the standard deviation instead, which has no such choice in it and is 13, 7 and 2 times stronger.
    """
    stdevs = np.array(statistics.stdevs)
    scales = stdevs**2 / 255 if config.color == "paper" else stdevs
    shift: Array = ((normals * (config.color_std * scales)) @ np.array(statistics.eigenvectors).T).astype(np.float32)
    return shift


def _words(seed: int, positions: Words, use: int) -> tuple[Words, Words, Words, Words]:
    return philox((positions & MASK, positions >> 32, use, seed >> 32), (seed & MASK, AUGMENT))


def _normals(words: tuple[Words, Words, Words, Words]) -> npt.NDArray[np.float64]:
    """Three standard normal numbers per image, [n, 3], by Box and Muller's method."""
    uniform = [(word + 0.5) / 2**32 for word in words]  # never 0, whose logarithm is infinite
    radius0, radius1 = (np.sqrt(-2 * np.log(u)) for u in uniform[:2])
    angle0, angle1 = (2 * np.pi * u for u in uniform[2:])
    return np.stack([radius0 * np.cos(angle0), radius0 * np.sin(angle0), radius1 * np.cos(angle1)], axis=1)
