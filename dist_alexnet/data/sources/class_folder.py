"""Images as people keep them: `train/<class>/*.jpg` and `val/<class>/*.jpg`, or ImageNet's flat `val/*.JPEG` and its development kit."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dist_alexnet.config import UsageError
from dist_alexnet.data.images import SPLITS, Encoding, ImageError, PassedOver, Split
from dist_alexnet.data.sources.devkit import DEVKIT, VAL_FILE, find_devkit, open_devkit
from dist_alexnet.data.sources.hugging_face import is_saved
from dist_alexnet.data.sources.photographs import EXTENSIONS, NOISE, FileParts, FileSpan, Found, Source, tell_nobody
from dist_alexnet.data.statistics import InFolder

INNER = "images"  # a folder in each class folder of Tiny ImageNet


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
        self.passed_over = PassedOver()
        self.classes = class_names(root / "train")
        self._files: list[str] = []
        if split == "val" and (flat := _flat_ilsvrc(self.folder, self.passed_over)) and (kit := find_devkit(root)):
            devkit = open_devkit(kit)
            self._files, self.labels = flat, devkit.labels(flat, self.classes, self.folder)
            self.class_names = {name: devkit.words[name] for name in self.classes if name in devkit.words}
            return
        found = class_names(self.folder, self.passed_over)
        if extra := sorted(set(found) - set(self.classes)):
            annotated = "; val_annotations.txt says which class each is of" if (self.folder / "val_annotations.txt").exists() else ""
            others = f", nor are {len(extra) - 1} others" if len(extra) > 1 else ""
            raise UsageError(
                f"{self.folder}: class {extra[0]} is not in train/{others}; its images belong into folders named as in train/{annotated}"
            )
        number = {name: label for label, name in enumerate(self.classes)}
        labels: list[int] = []
        for name in found:
            files = _files_of_class(self.folder / name, self.passed_over)
            if split == "train" and not files:
                there = f" ({self.passed_over})" if self.passed_over.count else ""
                raise UsageError(f"{self.folder / name}: no image of this class lies in it{there}; add {'/'.join(EXTENSIONS)} files")
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


def is_class_folder(root: Path) -> bool:
    """Whether there are folders for the splits, and not those that `save_to_disk` writes."""
    folders = [root / split for split in SPLITS if (root / split).is_dir()]
    return bool(folders) and not any(map(is_saved, folders))


def open_folder(root: Path, tell: Found = tell_nobody) -> Source:
    """A folder of class folders as a source (UsageError as of ClassFolder)."""
    train = ClassFolder(root, "train", tell)
    val = ClassFolder(root, "val", lambda found: tell(len(train) + found))
    passed_over = PassedOver(train.passed_over.count + val.passed_over.count, train.passed_over.first or val.passed_over.first)
    return Source(train.classes, {"train": train, "val": val}, val.class_names, passed_over)


def class_names(folder: Path, passed_over: PassedOver | None = None) -> list[str]:
    """The class folders in a split's folder, sorted. Files beside them are passed over.

    Raises:
        UsageError: there are none, and the message says what lies there instead; or a link leads nowhere.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder; the classes are read from it")
    names = []
    for entry in _seen(folder):
        _check_link(entry)
        if entry.is_dir():
            names.append(entry.name)
        elif passed_over is not None:
            passed_over.add(entry.path)
    if not names:
        raise UsageError(_instead_of_classes(folder))
    _check_names(folder, names)
    return sorted(names)


def _check_names(folder: Path, names: list[str]) -> None:
    """Refuse names that shards, JSON and a terminal cannot hold; those of a whole folder at once, for that is quick."""
    try:
        "".join(names).encode()
    except UnicodeEncodeError:
        odd = next(name for name in names if not name.isascii() and any("\udc80" <= letter <= "\udcff" for letter in name))
        raise UsageError(f"{str(folder / odd)!a}: its name is not UTF-8; rename it, or all of a folder with `convmv`") from None


def _instead_of_classes(folder: Path) -> str:
    files = sorted(entry.name for entry in os.scandir(folder))
    if archives := [name for name in files if name.endswith(".tar")]:
        return f"{folder}: it holds {len(archives)} archives such as {archives[0]}; unpack each into a folder of its name"
    if images := image_files(folder):
        kit = f", or put {DEVKIT}.tar.gz into {folder.parent}: it says what they show" if _flat_ilsvrc(folder) else ""
        return f"{folder}: {len(images)} images lie in it directly; move each into {folder}/<class>/, named as in train/{kit}"
    return f"{folder}: it is empty; add a folder of images for each class"


def _seen(folder: Path) -> Iterator["os.DirEntry[str]"]:
    """What lies in a folder, but for noise."""
    return (entry for entry in os.scandir(folder) if not entry.name.startswith(".") and entry.name.lower() not in NOISE)


def _check_link(entry: "os.DirEntry[str]") -> None:
    if entry.is_symlink() and not os.path.exists(entry):
        raise UsageError(f"{entry.path}: it is a link to {os.readlink(entry)}, which is not there; mend the link")


def _files_of_class(folder: Path, passed_over: PassedOver) -> list[str]:
    """Image files in a class folder, or in `images/` in it where none lies directly."""
    files = image_files(folder, passed_over)
    if not (folder / INNER).is_dir():
        return files
    if files:
        _pass_over_images(folder / INNER, passed_over)
        return files
    return [f"{INNER}/{file}" for file in image_files(folder / INNER, passed_over)]


def _flat_ilsvrc(folder: Path, passed_over: PassedOver | None = None) -> list[str]:
    """Names of the images in a folder, sorted, if there are no images but validation images of ILSVRC; else none."""
    if not folder.is_dir() or any(entry.is_dir() for entry in _seen(folder)):
        return []
    files = image_files(folder, passed_over)
    return files if all(map(VAL_FILE.fullmatch, files)) else []


def image_files(folder: Path, passed_over: PassedOver | None = None) -> list[str]:
    """Names of the image files in a folder, sorted. Links count as what they lead to; a folder is no image, whatever its name.

    Raises:
        UsageError: a link leads nowhere.
    """
    files = []
    for entry in _seen(folder):
        named = entry.name.lower().endswith(EXTENSIONS)
        if named:
            _check_link(entry)
        if named and entry.is_file():
            files.append(entry.name)
        elif passed_over is not None:
            _pass_over(entry, passed_over)
    _check_names(folder, files)
    return sorted(files)


def _pass_over(entry: "os.DirEntry[str]", passed_over: PassedOver) -> None:
    """A file that is no image; of a folder the images in it, but of `images/`, which may have to be read."""
    if not entry.is_dir():
        passed_over.add(entry.path)
    elif entry.name != INNER:
        _pass_over_images(Path(entry.path), passed_over)


def _pass_over_images(folder: Path, passed_over: PassedOver) -> None:
    """At any depth; what is a link to a folder is not followed, for it may lead in a circle."""
    for place, _, names in os.walk(folder):
        for name in sorted(names):
            if name.lower().endswith(EXTENSIONS) and not name.startswith("."):
                passed_over.add(os.path.join(place, name))
