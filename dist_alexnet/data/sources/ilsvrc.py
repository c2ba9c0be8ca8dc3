"""The archives of ILSVRC 2012 as they are published: nothing is unpacked, each photograph is read from where it lies.

The training archive holds one tar archive per class (n01440764.tar) and each of those its images (n01440764_10026.JPEG); the archive of
the validation images is flat and their labels are in the development kit (devkit.py).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dist_alexnet.config import UsageError
from dist_alexnet.data.sources.devkit import DEVKIT, SYNSET, VAL_FILE, find_devkit, open_devkit
from dist_alexnet.data.sources.photographs import FileParts, FileSpan, Found, Source, tell_nobody, unread
from dist_alexnet.data.sources.tar_members import Member, tar_members

TRAIN, VAL = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
TELL_EVERY = 100  # images: a second, where a disk has to seek each header
SYNSET_FILE = re.compile(rf"{SYNSET.pattern}\.tar")


@dataclass(frozen=True)
class Places:
    """Where members of an archive lie, in order."""

    names: npt.NDArray[np.bytes_]  # [N]
    starts: npt.NDArray[np.int64]  # [N], bytes from the beginning of the file
    sizes: npt.NDArray[np.int64]  # [N], bytes


class ArchivedImages:
    """One split. 1.28 million training images take about 60 MB here: arrays, and objects only for those that are asked for.

    Args:
        archive: the file that all images are in.
        classes: synset ids, sorted.
        labels: [N], indices into classes.
        images: N of them.
    """

    def __init__(self, archive: Path, classes: list[str], labels: npt.NDArray[np.int64], images: Places) -> None:
        self.labels = labels
        self._archive, self._classes, self._images = archive, classes, images

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, index: int) -> str:
        """`<synset>/<file>`."""
        return f"{self._classes[self.labels[index]]}/{self._images.names[index].decode()}"

    def part(self, start: int, stop: int) -> FileParts:
        """Photographs [start, stop), for a worker."""
        places = zip(self._images.starts[start:stop].tolist(), self._images.sizes[start:stop].tolist(), strict=True)
        return FileParts([FileSpan(self._archive, first, size) for first, size in places])


def open_archives(folder: Path, tell: Found = tell_nobody) -> Source:
    """The archives in a folder as a source. Reads every header in them: minutes for the training archive of 138 GB.

    Raises:
        UsageError: an archive or the development kit is missing, or is not what its name says, or they do not fit together.
    """
    for name, split in ((TRAIN, "training"), (VAL, "validation")):
        if not (folder / name).is_file():
            raise UsageError(f"{folder}: {name} is missing, the archive of the {split} images; put it beside the other")
    if not (path := find_devkit(folder)):
        raise UsageError(f"{folder}: {DEVKIT}.tar.gz is missing; the labels of the validation images are in it; put it beside the archives")
    devkit = open_devkit(path)
    known = sorted(devkit.words)
    val = _open_val(folder / VAL, tell)  # first, for the training archive takes longer
    val_labels = devkit.labels([name.decode() for name in val.names], known, folder / VAL)
    classes, labels, train = _open_train(folder / TRAIN, tell, len(val.names))
    if extra := sorted(set(classes) - set(known)):
        raise UsageError(f"{folder / TRAIN}: class {extra[0]} is not in {path.name}; both must be of ILSVRC 2012, tasks 1 and 2")
    if missing := sorted(set(known) - set(classes)):
        raise UsageError(f"{folder / TRAIN}: {len(missing)} of {len(known)} classes are missing, such as {missing[0]}; download it again")
    archived = {TRAIN: ArchivedImages(folder / TRAIN, classes, labels, train), VAL: ArchivedImages(folder / VAL, classes, val_labels, val)}
    beside = unread([folder], {folder / TRAIN, folder / VAL, path})
    return Source(classes, {"train": archived[TRAIN], "val": archived[VAL]}, devkit.words, beside)


def _open_val(path: Path, tell: Found) -> Places:
    with path.open("rb") as file:
        members = _counted(tar_members(file, str(path), 0, path.stat().st_size), tell)
        return _places(members, VAL_FILE, str(path), "ILSVRC2012_val_00000001.JPEG")


def _open_train(path: Path, tell: Found, found: int) -> tuple[list[str], npt.NDArray[np.int64], Places]:
    """Classes, labels and images; `found` before them."""
    with path.open("rb") as file:
        archives = _places(tar_members(file, str(path), 0, path.stat().st_size), SYNSET_FILE, str(path), "n01440764.tar")
        classes = [name.decode().removesuffix(".tar") for name in archives.names]
        places = []
        for synset, start, size in zip(classes, archives.starts.tolist(), archives.sizes.tolist(), strict=True):
            where = f"{path}: {synset}.tar"
            members = _counted(tar_members(file, where, start, start + size), tell, found)
            places.append(_places(members, re.compile(rf"{synset}_\d{{1,9}}\.JPEG"), where, f"{synset}_1.JPEG"))
            found += len(places[-1].names)
    names, starts, sizes = (
        np.concatenate(columns) for columns in zip(*((each.names, each.starts, each.sizes) for each in places), strict=True)
    )
    return classes, np.repeat(np.arange(len(places)), [len(each.names) for each in places]), Places(names, starts, sizes)


def _counted(members: Iterable[Member], tell: Found, found: int = 0) -> Iterator[Member]:
    """The same members; tells of them as they are found, after `found` others."""
    for number, member in enumerate(members, found + 1):
        if number % TELL_EVERY == 0:
            tell(number)
        yield member


def _places(found: Iterable[Member], pattern: re.Pattern[str], where: str, example: str) -> Places:
    """Members sorted by name.

    Raises:
        UsageError: there are none, one is there twice or is not named as in ILSVRC's archives.
    """
    members = sorted(found)
    if not members:
        raise UsageError(f"{where}: it is empty, but should hold files like {example}; download it again")
    for one, next_one in zip(members, [*members[1:], None], strict=True):
        if not pattern.fullmatch(one.name):
            raise UsageError(f"{where}: it holds {one.name!r}, where ILSVRC has only files like {example}; download it as it is published")
        if next_one and one.name == next_one.name:
            raise UsageError(f"{where}: it holds {one.name} twice; download it again")
    names, starts, sizes = zip(*members, strict=True)
    return Places(np.array([name.encode() for name in names]), np.array(starts, np.int64), np.array(sizes, np.int64))
