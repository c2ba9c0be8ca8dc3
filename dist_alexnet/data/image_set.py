"""What images there are: one interface over folders of photographs and over prepared shards, and the check of a data set's layout."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from dist_alexnet.config import UsageError
from dist_alexnet.data.sources.photographs import SPLITS, PassedOver, Split
from dist_alexnet.data.statistics import Statistics, read_statistics

Encoding = Literal["jpeg", "raw", "original"]  # squares as JPEG | squares as uint8 pixels | the files as they were delivered
LAYOUT = (
    "a data set is a folder with train/ and val/, each of one folder per class (train/cat/1.jpg) or of shards (*.arrow); "
    "or with ILSVRC's archives or Hugging Face's Arrow files"
)


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


def open_data(path: str | Path) -> tuple[ImageSet, ImageSet]:
    """Training and validation set of a data set; every fault of the layout is found here, before anything starts.

    Raises:
        UsageError: something is missing, empty, incomplete or does not fit together.
    """
    train, val = _open(Path(path), SPLITS)
    known = read_statistics(Path(path))
    if known and known.images + known.left_out != len(train):
        raise UsageError(
            f"{path}: its statistics are of {known.images + known.left_out} training images, but it has {len(train)}; "
            f"type `dist-alexnet data stats {path} --recompute --store`"
        )
    if train.classes != val.classes or train.prepared_size != val.prepared_size:
        raise UsageError(f"{path}: train/ and val/ were not prepared together; prepare both from one source")
    return train, val


def open_split(path: str | Path, split: Split) -> ImageSet:
    """One split of a data set.

    Raises:
        UsageError: this split, or the list of classes in train/, is missing, empty, incomplete or cannot be read.
    """
    return _open(Path(path), [split])[0]


def passed_over(*sets: ImageSet) -> list[str]:
    """A line for each of these splits that holds files which are not read."""
    return [str(images.passed_over) for images in sets if images.passed_over.count]


def check_there(path: Path) -> None:
    """Refuse a path that leads nowhere (UsageError)."""
    if not path.exists():
        raise UsageError(f"data.path={path}: there is no such folder; {LAYOUT}")


def _open(path: Path, splits: Sequence[Split]) -> list[ImageSet]:
    from dist_alexnet.data.in_place import InPlace, find_in_place  # here, for it knows what an ImageSet is

    try:
        if source := find_in_place(path):
            return [InPlace(path, source, split) for split in splits]
        return [_open_split(path, split) for split in splits]
    except OSError as error:
        raise UsageError(f"{error.filename or path}: {error.strerror}; a data set must be readable") from error


def _open_split(path: Path, split: Split) -> ImageSet:
    from dist_alexnet.data import index
    from dist_alexnet.data.shards import Shards
    from dist_alexnet.data.sources.class_folder import ClassFolder, is_class_folder  # here, for these two files know what an ImageSet is
    from dist_alexnet.data.sources.elsewhere import other_name
    from dist_alexnet.data.sources.open import what_else

    folder = path / split
    if not path.is_dir():
        raise UsageError(f"data.path={path}: there is no such folder; {LAYOUT}")
    if not folder.is_dir():
        lies_there = other_name(path, split) if is_class_folder(path) else what_else(path)
        raise UsageError(f"data.path={path}: {lies_there or f'it has no {split}/; {LAYOUT}'}")
    if (path / index.FILE).is_file() or any(folder.glob("*.arrow")):
        return Shards(path, split)
    if any(path.glob("*/*.arrow")) and not any(entry.is_dir() for entry in folder.iterdir()):
        raise UsageError(f"{folder}: its shards are gone; run `dist-alexnet data prepare` again")
    return ClassFolder(path, split)


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
