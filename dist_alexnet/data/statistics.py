"""What the training images of a set look like on average: `statistics.json` and `mean_image.npy`, in the folder of the set.

`data prepare` writes them beside its shards, and `data stats` beside any other images (stats.py).
"""

import hashlib
import io
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dist_alexnet.config import UsageError
from dist_alexnet.data.sealed import read_sealed, write_sealed

FORMAT = 1
FILE, MEAN_IMAGE = "statistics.json", "mean_image.npy"


@dataclass(frozen=True)
class Statistics:
    """Of the pixels of all training images, scaled to squares of one size; grey levels of 0-255."""

    images: int
    mean: list[float]  # R, G, B
    stdevs: list[float]  # [3], square roots of the eigenvalues of the covariance of R, G, B over all pixels, ascending
    eigenvectors: list[list[float]]  # [3][3], in columns of the same order
    left_out: int = 0  # images that do not decode
    mean_image: npt.NDArray[np.float32] | None = None  # [size, size, 3], mean of each pixel


# The authors' own numbers. Source: cuda-convnet2, make-data/input_meta.
IMAGENET = Statistics(
    images=1_281_167,
    mean=[127.30, 119.72, 104.91],
    stdevs=[19.7208, 37.0939, 121.7801],
    eigenvectors=[[0.41796, -0.71258, -0.56351], [-0.81698, -0.02354, -0.57618], [0.39731, 0.70120, -0.59200]],
)


def as_json(statistics: Statistics) -> dict[str, Any]:
    """All but the mean image."""
    content = asdict(replace(statistics, mean_image=None))
    del content["mean_image"]
    return content


def write_statistics(folder: Path, statistics: Statistics) -> None:
    """Write or replace both files; statistics.json last, so that it never speaks of a mean image that is not there yet."""
    assert statistics.mean_image is not None, "the authors' are not of a set"
    image, part = io.BytesIO(), folder / f"{MEAN_IMAGE}.part"
    np.save(image, statistics.mean_image)
    part.write_bytes(image.getvalue())
    part.replace(folder / MEAN_IMAGE)
    checksum = hashlib.sha256(image.getvalue()).hexdigest()
    write_sealed(folder / FILE, FORMAT, {**as_json(statistics), "mean_image_sha256": checksum})


def read_statistics(folder: Path) -> Statistics | None:
    """Those of a data set, None where nobody has computed them.

    Raises:
        UsageError: a file is broken, gone, or not what was written.
    """
    if not (folder / FILE).is_file():
        return None
    remedy = f"type `dist-alexnet data stats {folder} --recompute --store`"
    content = read_sealed(folder / FILE, FORMAT, remedy)
    file, checksum = folder / MEAN_IMAGE, content.pop("mean_image_sha256", None)
    try:
        image = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}; {remedy}") from error
    if hashlib.sha256(image).hexdigest() != checksum:
        raise UsageError(f"{file}: not what was written (its SHA-256 is another); {remedy}")
    try:
        found = Statistics(**content, mean_image=np.load(io.BytesIO(image)))
        numbers = [np.array(each, np.float64).shape for each in (found.mean, found.stdevs, found.eigenvectors)]
        if numbers != [(3,), (3,), (3, 3)] or not isinstance(found.images + found.left_out, int):
            raise ValueError("a number is missing, or none")
    except (ValueError, TypeError, OverflowError, EOFError) as error:  # whoever wrote it was not this program
        raise UsageError(f"{folder / FILE}: broken ({' '.join(str(error).split())}); {remedy}") from None
    return found


class InFolder:
    """An ImageSet of a folder, as far as its statistics go."""

    root: Path

    @cached_property
    def statistics(self) -> Statistics | None:
        """Of the training images, where they were computed (UsageError: they cannot be read)."""
        return read_statistics(self.root)
