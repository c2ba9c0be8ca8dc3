"""Recognise what a data set was delivered in."""

from pathlib import Path

from dist_alexnet.config import UsageError
from dist_alexnet.data.sources import class_folder
from dist_alexnet.data.sources.photographs import Source

SOURCES = "a folder with train/<class>/ and val/<class>/"


def open_source(path: str | Path) -> Source:
    """Photographs of a training and a validation set.

    Raises:
        UsageError: there is nothing of the kind, or something is missing or does not fit together.
    """
    path = Path(path)
    if not path.is_dir():
        raise UsageError(f"{path}: there is no such folder; name {SOURCES}")
    if (path / "dataset.json").exists():
        raise UsageError(f"{path}: it is prepared already; name what it was prepared from")
    try:
        return class_folder.open_folder(path)
    except OSError as error:
        raise UsageError(f"{error.filename or path}: {error.strerror}; a data set must be readable") from error
