"""Open a data set by its path, whatever it is stored as; every fault of its layout is found here."""

from collections.abc import Sequence
from pathlib import Path

from dist_alexnet.config import UsageError
from dist_alexnet.data.images import LAYOUT, SPLITS, ImageSet, Split
from dist_alexnet.data.sets import index
from dist_alexnet.data.sets.in_place import InPlace, find_in_place
from dist_alexnet.data.sets.shards import Shards
from dist_alexnet.data.sources.class_folder import ClassFolder, is_class_folder
from dist_alexnet.data.sources.elsewhere import other_name
from dist_alexnet.data.sources.open import what_else
from dist_alexnet.data.statistics import read_statistics


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


def _open(path: Path, splits: Sequence[Split]) -> list[ImageSet]:
    try:
        if source := find_in_place(path):
            return [InPlace(path, source, split) for split in splits]
        return [_open_split(path, split) for split in splits]
    except OSError as error:
        raise UsageError(f"{error.filename or path}: {error.strerror}; a data set must be readable") from error


def _open_split(path: Path, split: Split) -> ImageSet:
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
