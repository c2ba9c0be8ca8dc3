"""Recognise what a data set was delivered in."""

from collections.abc import Callable
from pathlib import Path

from dist_alexnet.config import UsageError
from dist_alexnet.data.sources import class_folder, hugging_face, ilsvrc
from dist_alexnet.data.sources.elsewhere import instead
from dist_alexnet.data.sources.photographs import Found, Source, tell_nobody

FOLDERS, ARCHIVES, HUB = "train/<class>/ and val/<class>/", "the archives of ILSVRC 2012 (*.tar)", "Parquet or Arrow files of Hugging Face"
SOURCES = f"a folder with {FOLDERS}, with {ARCHIVES} or with {HUB}"

Kind = tuple[str, Callable[[Path], bool], Callable[[Path, Found], Source]]  # in words, whether a folder holds it, how to open that

KINDS: list[Kind] = [
    (FOLDERS, class_folder.is_class_folder, class_folder.open_folder),
    (ARCHIVES, lambda folder: (folder / ilsvrc.TRAIN).exists() or (folder / ilsvrc.VAL).exists(), ilsvrc.open_archives),
    (HUB, lambda folder: bool(hugging_face.find_files(folder)), hugging_face.open_hugging_face),
]


def kinds_in(path: Path) -> list[Kind]:
    """Those that a folder holds."""
    return [kind for kind in KINDS if kind[1](path)]


def check_source(path: Path) -> None:
    """Refuse a path that leads to no folder (UsageError)."""
    if not path.is_dir():
        raise UsageError(f"{path}: there is no such folder; name {SOURCES}")


def what_else(path: Path) -> str | None:
    """What lies in a folder that holds none of them, and what to type (elsewhere.py); None: nothing that is known."""
    return instead(path, lambda folder: bool(kinds_in(folder)))


def open_source(path: str | Path, tell: Found = tell_nobody) -> Source:
    """Photographs of a training and a validation set.

    Args:
        path: a folder.
        tell: called now and then, for it takes minutes where each header of an archive has to be sought on a disk.

    Raises:
        UsageError: there is nothing of the kind, or of two kinds, or something is missing or does not fit together.
    """
    path = Path(path)
    check_source(path)
    try:
        return _open(path, tell)
    except OSError as error:
        raise UsageError(f"{error.filename or path}: {error.strerror}; a data set must be readable") from error


def _open(path: Path, tell: Found) -> Source:
    if any(path.glob("*/00000.arrow")):
        raise UsageError(f"{path}: it holds shards already; name the folder of the photographs")
    found = kinds_in(path)
    if not found:
        raise UsageError(f"{path}: {what_else(path) or f'there are no photographs that can be read; name {SOURCES}'}")
    if len(found) > 1:
        both = " and ".join(words for words, *_ in found)
        raise UsageError(f"{path}: it holds {both}; move one of them elsewhere, for a source is {SOURCES}")
    return found[0][2](path, tell)
