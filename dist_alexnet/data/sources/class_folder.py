"""Images as people keep them: `train/<class>/*.jpg` and `val/<class>/*.jpg`, or ImageNet's flat `val/*.JPEG` and its development kit."""

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dist_alexnet.config import UsageError
from dist_alexnet.data.image_set import Encoding, ImageError
from dist_alexnet.data.sources.devkit import DEVKIT, VAL_FILE, find_devkit, open_devkit
from dist_alexnet.data.sources.photographs import FileParts, FileSpan, Found, Source, Split, tell_nobody
from dist_alexnet.data.statistics import InFolder

EXTENSIONS = (".jpeg", ".jpg", ".png")


class ClassFolder(InFolder):
    """One split of a folder of class folders, as an ImageSet.

    Args:
        root: the folder that holds train/ and the split.
        split: "train" or "val". The classes are those of train/ in both; val/ may lack some. A flat val/ of ILSVRC is understood when
            the development kit lies in the root.
        tell: called after each class.

    Raises:
        UsageError: no classes, no images, a class that train/ lacks or has no images of, images outside class folders, a
            development kit that does not fit them.
    """

    encoding: Encoding = "original"
    prepared_size: int | None = None

    def __init__(self, root: Path, split: Split, tell: Found = tell_nobody) -> None:
        self.root, self.folder = root, root / split
        self.class_names: dict[str, str] = {}  # where a development kit was read
        self.classes = class_names(root / "train")
        self._files: list[str] = []
        if split == "val" and (flat := _flat_ilsvrc(self.folder)) and (kit := find_devkit(root)):
            devkit = open_devkit(kit)
            self._files, self.labels = flat, devkit.labels(flat, self.classes, self.folder)
            self.class_names = {name: devkit.words[name] for name in self.classes if name in devkit.words}
            return
        found = self.classes if split == "train" else class_names(self.folder)
        if extra := sorted(set(found) - set(self.classes)):
            others = f", nor are {len(extra) - 1} others" if len(extra) > 1 else ""
            raise UsageError(f"{self.folder}: class {extra[0]} is not in train/{others}; add it there, or delete it here")
        number = {name: label for label, name in enumerate(self.classes)}
        labels: list[int] = []
        for name in found:
            files = image_files(self.folder / name)
            if split == "train" and not files:
                raise UsageError(f"{self.folder / name}: no image of this class; add {'/'.join(EXTENSIONS)} files or delete the folder")
            self._files += [f"{name}/{file}" for file in files]
            labels += [number[name]] * len(files)
            tell(len(labels))
        if not labels:
            raise UsageError(f"{self.folder}: its class folders hold no {'/'.join(EXTENSIONS)} files; add some")
        self.labels = np.array(labels, np.int64)

    def __len__(self) -> int:
        return len(self._files)

    def encoded(self, index: int) -> npt.NDArray[np.uint8]:
        """The bytes of the image file, uint8 [bytes], for training without preparing.

        Raises:
            ImageError: the file, which was there when the set was opened, cannot be read now.
        """
        try:
            return np.frombuffer(self.path(index).read_bytes(), np.uint8)  # np.fromfile takes a disk that fails for the end of the file
        except OSError as error:
            raise ImageError(error.strerror) from error

    def label(self, index: int) -> int:
        """The class of an image."""
        return int(self.labels[index])

    def name(self, index: int) -> str:
        """`<class>/<file>`, also where the file lies in no class folder."""
        return f"{self.classes[self.labels[index]]}/{self._files[index].rpartition('/')[2]}"

    def where(self, index: int) -> str:
        """The path of the file."""
        return str(self.path(index))

    def part(self, start: int, stop: int) -> FileParts:
        """Photographs [start, stop), for a worker."""
        return FileParts([FileSpan(self.path(index)) for index in range(start, stop)])

    def path(self, index: int) -> Path:
        """The file itself."""
        return self.folder / self._files[index]


def open_folder(root: Path, tell: Found = tell_nobody) -> Source:
    """A folder of class folders as a source (UsageError as of ClassFolder)."""
    train = ClassFolder(root, "train", tell)
    val = ClassFolder(root, "val", lambda found: tell(len(train) + found))
    return Source(train.classes, {"train": train, "val": val}, val.class_names)


def class_names(folder: Path) -> list[str]:
    """The class folders in a split's folder, sorted.

    Raises:
        UsageError: there are none; the message says so if images lie there directly.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder; the classes are read from it")
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    if not names and (files := image_files(folder)):
        kit = f", or put {DEVKIT}.tar.gz into {folder.parent}: it says what they show" if _flat_ilsvrc(folder) else ""
        raise UsageError(f"{folder}: {len(files)} images lie in it directly; move each into {folder}/<class>/, named as in train/{kit}")
    if not names:
        raise UsageError(f"{folder}: it is empty; add a folder of images for each class")
    return names


def _flat_ilsvrc(folder: Path) -> list[str]:
    """Names of the images in a folder, sorted, if there is nothing but validation images of ILSVRC; else none."""
    if not folder.is_dir() or any(entry.is_dir() for entry in os.scandir(folder) if not entry.name.startswith(".")):
        return []
    files = image_files(folder)
    return files if all(map(VAL_FILE.fullmatch, files)) else []


def image_files(folder: Path) -> list[str]:
    """Names of the image files in a folder, sorted. Links count as what they lead to; a folder is no image, whatever its name.

    Raises:
        UsageError: a link leads nowhere.
    """
    named = [entry for entry in os.scandir(folder) if entry.name.lower().endswith(EXTENSIONS) and not entry.name.startswith(".")]
    for entry in named:
        if entry.is_symlink() and not os.path.exists(entry):
            raise UsageError(f"{entry.path}: it is a link to {os.readlink(entry)}, which is not there; mend or delete it")
    return sorted(entry.name for entry in named if entry.is_file())
