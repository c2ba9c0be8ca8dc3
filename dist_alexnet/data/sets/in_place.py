"""Photographs as they were delivered, in archives or Arrow files, as an ImageSet: to train and evaluate without preparing."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from dist_alexnet.config import UsageError
from dist_alexnet.data.images import Encoding, ImageError, PassedOver, Split
from dist_alexnet.data.sources import hugging_face
from dist_alexnet.data.sources.class_folder import is_class_folder
from dist_alexnet.data.sources.open import kinds_in, open_source
from dist_alexnet.data.sources.photographs import Source
from dist_alexnet.data.statistics import InFolder


class InPlace(InFolder):
    """One split of a source. An image has the number that it has in a set prepared from this source, if that leaves none out."""

    encoding: Encoding = "original"
    prepared_size: int | None = None

    def __init__(self, root: Path, source: Source, split: Split) -> None:
        self.root = root
        self.classes, self.class_names = source.classes, dict(source.class_names)
        self.passed_over = source.passed_over if split == "train" else PassedOver()  # of both: to be told once
        self._place, self._photographs = f"{root}: {split}", source.splits[split]

    def __len__(self) -> int:
        return len(self._photographs)

    def encoded(self, index: int) -> npt.NDArray[np.uint8]:
        """The bytes of the image file, uint8 [bytes].

        Raises:
            ImageError: they cannot be read.
        """
        (content,) = self._photographs.part(index, index + 1).read()
        if isinstance(content, str):
            raise ImageError(content)
        return np.frombuffer(content, np.uint8)

    def label(self, index: int) -> int:
        """The class of an image."""
        return int(self._photographs.labels[index])

    def where(self, index: int) -> str:
        """The folder of the archives or files, split, class and file."""
        return f"{self._place}/{self._photographs.name(index)}"


def find_in_place(root: Path) -> Source | None:
    """What a folder holds in archives or Arrow files; None where it has folders of classes or shards, or nothing.

    Raises:
        UsageError: of `open_source`; or they are Parquet, of which a whole group of rows is read to get at one image.
    """
    if is_class_folder(root) or not kinds_in(root):
        return None
    if any(file.suffix == ".parquet" for file in hugging_face.find_files(root)):
        reason = "a Parquet file is read a whole group of images at a time"
        raise UsageError(f"{root}: {reason}; run `dist-alexnet data prepare {root} TARGET`, then type --data TARGET")
    return open_source(root)
