"""What images there are: one interface over folders of photographs, archives and prepared shards."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from dist_alexnet.config import UsageError
from dist_alexnet.data.statistics import Statistics

Split = Literal["train", "val"]
SPLITS: tuple[Split, ...] = ("train", "val")
Encoding = Literal["jpeg", "raw", "original"]  # squares as JPEG | squares as uint8 pixels | the files as they were delivered
LAYOUT = (
    "a data set is a folder with train/ and val/, each of one folder per class (train/cat/1.jpg) or of shards (*.arrow); "
    "or with ILSVRC's archives or Hugging Face's Arrow files"
)


@dataclass
class PassedOver:
    """Files that lie where images are looked for and are not read."""

    count: int = 0
    first: str = ""  # its path

    def add(self, path: str) -> None:
        """One more."""
        self.count, self.first = self.count + 1, self.first or path

    def __str__(self) -> str:
        return f"{self.count:,} file(s) passed over, the first: {self.first}"


class ImageError(Exception):
    """One image cannot be read or decoded; the message says why. A run goes on without it (data.max_bad)."""


class TooManyBadImages(Exception):  # noqa: N818 - what happened
    """More images are bad than data.max_bad allows."""


class ImageSet(Protocol):
    """The images of one split, numbered from 0 in a fixed order. Opened by path, in each process on its own."""

    classes: list[str]  # of the training set, sorted, also in the validation set
    class_names: dict[str, str]  # of a class, in words, where they are known
    encoding: Encoding
    prepared_size: int | None  # pixels, side of the stored squares; None: photographs of any size
    passed_over: PassedOver  # files that lie with these images and are not read

    @property
    def statistics(self) -> Statistics | None:
        """Of the training images, where they were computed (UsageError: they cannot be read)."""
        ...

    def __len__(self) -> int: ...

    def encoded(self, index: int) -> npt.NDArray[np.uint8]:
        """What is stored of an image, uint8 [bytes]; for raw squares uint8 [prepared_size, prepared_size, 3]. Read-only.

        Raises:
            ImageError: it cannot be read.
        """
        ...

    def label(self, index: int) -> int:
        """The class of an image, an index into `classes` (ImageError: it cannot be read)."""
        ...

    def where(self, index: int) -> str:
        """What an error message calls this image."""
        ...


def passed_over(*sets: ImageSet) -> list[str]:
    """A line for each of these splits that holds files which are not read."""
    return [str(images.passed_over) for images in sets if images.passed_over.count]


def check_there(path: Path) -> None:
    """Refuse a path that leads nowhere (UsageError)."""
    if not path.exists():
        raise UsageError(f"data.path={path}: there is no such folder; {LAYOUT}")


def check_sizes(images: ImageSet, store_size: int, image_size: int) -> None:
    """Refuse sizes in pixels that the set cannot give.

    Raises:
        UsageError: the set holds squares of another side than store_size, or the crop is larger than they are.
    """
    if images.prepared_size not in (None, store_size):
        raise UsageError(
            f"data.store_size={store_size}, but the shards hold images of {images.prepared_size} pixels; "
            f"set data.store_size={images.prepared_size} or prepare the data again with --size {store_size}"
        )
    if images.prepared_size and image_size > store_size:
        raise UsageError(
            f"model.image_size={image_size} cannot be cropped from squares of {store_size} pixels; type model.image_size={store_size} or "
            "less, or prepare the data again with a larger --size"
        )
    if image_size > store_size:
        raise UsageError(
            f"model.image_size={image_size} cannot be cropped from data.store_size={store_size}; set data.store_size={image_size} or more"
        )
