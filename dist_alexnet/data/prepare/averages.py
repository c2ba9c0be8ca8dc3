"""Compute the statistics of a data set from its training images, whatever they are stored as."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dist_alexnet.config import UsageError
from dist_alexnet.data.images import ImageError, ImageSet
from dist_alexnet.data.prepare.moments import Moments
from dist_alexnet.data.prepare.photograph import open_image, square
from dist_alexnet.data.prepare.pool import in_order
from dist_alexnet.data.sets.open import open_split
from dist_alexnet.data.statistics import Statistics

PART = 32  # images that a worker takes at a time


def compute(path: Path, size: int, workers: int, tell: Callable[[int, int], None]) -> tuple[Statistics, list[str]]:
    """Statistics of the training images of a set, and those that had to be left out, each with the reason.

    Photographs are made squares as `data prepare` does it, and give the same numbers to the last bit. Squares that are stored as JPEG
    are taken as they decode; `data prepare` has taken them before they were compressed.

    Args:
        path: of the set.
        size: side of the squares that photographs are made, pixels.
        workers: processes; the result does not depend on them.
        tell: called with the number of images done and of all.

    Raises:
        UsageError: it is no data set, or not one image decodes.
    """
    _open.cache_clear()
    images = open_split(path, "train")
    moments, bad = Moments.none(images.prepared_size or size), list[str]()
    parts = [range(start, min(start + PART, len(images))) for start in range(0, len(images), PART)]
    for part, (more, failed) in zip(parts, in_order(_sum, ((path, part, len(moments.sums)) for part in parts), workers), strict=True):
        moments = more.plus(moments)
        bad += [f"{images.where(index)}: {reason}" for index, reason in failed]
        tell(part.stop, len(images))
    if not moments.images:
        raise UsageError(f"{path}: none of its training images decodes, such as {bad[-1]}")
    return replace(moments.statistics(), left_out=len(bad)), bad


_open = cache(open_split)  # once in a worker process


def _sum(path: Path, part: range, size: int) -> tuple[Moments, list[tuple[int, str]]]:
    """Moments of a part of the training images, and index and reason of each that is left out."""
    images, moments, bad = _open(path, "train"), Moments.none(size), []
    for index in part:
        try:
            moments.add(_square(images, index, size))
        except ImageError as error:
            bad.append((index, str(error)))
    return moments.packed(), bad


def _square(images: ImageSet, index: int, size: int) -> npt.NDArray[np.uint8]:
    content = images.encoded(index)
    if images.encoding == "raw":
        return content
    with open_image(content.tobytes()) as image:
        return square(image, size)
