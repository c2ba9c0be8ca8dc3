"""`imagenet-1k` as Hugging Face distributes it (Parquet) or as its library caches it (Arrow); the library itself is not needed.

Columns `image: struct<bytes: binary, path: string>` and `label: int64`; the names of the classes are in the metadata of each file.
Paths look like n03954731_53652_n03954731.JPEG and ILSVRC2012_val_00000001_n01751748.JPEG, so that synset ids can be told from them.
"""

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dist_alexnet.config import UsageError
from dist_alexnet.data.sources.hub_table import Table, check_synsets, read_table, synsets_of
from dist_alexnet.data.sources.photographs import Found, Source, tell_nobody
from dist_alexnet.data.sources.tables import RowParts, RowSpan

FILE = re.compile(r"(?:.+-)?(train|validation|test)(?:-(\d{1,6})-of-(\d{1,6}))?(?:-[0-9a-f]+)?\.(?:parquet|arrow)")


class HubImages:
    """One split, in the order of the files and of the rows in them.

    Args:
        table: what its files say.
        classes: sorted.
        rank: [classes], index into classes of each label in the files.
    """

    def __init__(self, table: Table, classes: list[str], rank: npt.NDArray[np.int64]) -> None:
        self.labels: npt.NDArray[np.int64] = rank[table.labels]
        self._classes, self._images = classes, table.images
        self._groups = [(path, group) for path, sizes in zip(table.paths, table.sizes, strict=True) for group in range(len(sizes))]
        self._starts = np.cumsum([0, *(rows for sizes in table.sizes for rows in sizes)])  # [groups + 1], images before each

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, index: int) -> str:
        """`<class>/<file>`; a row without a path goes by its file and number."""
        file = self._images[index].as_py()
        if file is None:
            number, row = self._locate(index)
            path, group = self._groups[number]
            file = f"{path.stem}-group{group}-row{row}"
        return f"{self._classes[self.labels[index]]}/{file.rpartition('/')[2]}"

    def part(self, start: int, stop: int) -> RowParts:
        """Photographs [start, stop), for a worker."""
        spans = []
        while start < stop:
            group, row = self._locate(start)
            rows = min(stop, int(self._starts[group + 1])) - start
            spans.append(RowSpan(*self._groups[group], row, row + rows))
            start += rows
        return RowParts(spans)

    def _locate(self, index: int) -> tuple[int, int]:
        group = int(np.searchsorted(self._starts, index, side="right")) - 1
        return group, int(index - self._starts[group])


def find_files(folder: Path) -> list[Path]:
    """The files of Hugging Face in a folder, or else in data/ in it."""
    for place in (folder, folder / "data"):
        if place.is_dir() and (found := sorted(path for path in place.iterdir() if FILE.fullmatch(path.name))):
            return found
    return []


def open_hugging_face(folder: Path, tell: Found = tell_nobody) -> Source:
    """The files in a folder as a source. Its classes are synset ids where all paths of the training images tell them, else the names.

    Raises:
        UsageError: a file or a split is missing, a file is cut short or is not of this kind, or they do not fit together.
    """
    files = find_files(folder)
    if len(formats := {path.suffix: path.name for path in files}) > 1:
        raise UsageError(f"{folder}: it holds both {' and '.join(sorted(formats.values()))}; move those of one format elsewhere")
    train = read_table(_complete(folder, files, "train"), tell)
    val = read_table(_complete(folder, files, "validation"), lambda found: tell(len(train.labels) + found))
    if train.names != val.names:
        raise UsageError(f"{val.paths[0]}: its classes differ from those of {train.paths[0].name}; download all files of one version")
    if len(missing := np.flatnonzero(np.bincount(train.labels, minlength=len(train.names)) == 0)):
        raise UsageError(f"{folder}: no training image is of class {train.names[missing[0]]!r}; download all files of one version")
    synsets = synsets_of(train)
    unsorted = synsets or train.names
    if len(set(unsorted)) < len(unsorted):
        raise UsageError(f"{train.paths[0]}: two classes have one name, and no synset ids tell them apart; use another source")
    if synsets:
        check_synsets(val, synsets)
    order = np.argsort(np.array(unsorted))
    classes = [unsorted[label] for label in order]
    train_images, val_images = (HubImages(table, classes, np.argsort(order)) for table in (train, val))
    names = dict(zip(synsets, train.names, strict=True)) if synsets else {}
    return Source(classes, {"train": train_images, "val": val_images}, names)


def _complete(folder: Path, files: list[Path], split: str) -> list[Path]:
    """The files of a split in order, none missing."""
    numbered = [
        (int(match[2] or 0), int(match[3] or 1), path) for path in files if (match := FILE.fullmatch(path.name)) and match[1] == split
    ]
    if not numbered:
        raise UsageError(f"{folder}: it has no {split}-00000-of-...{files[0].suffix}; download its files and put them beside these")
    total = max(total for _, total, _ in numbered)
    numbers = sorted(number for number, _, _ in numbered)
    if any(other != total for _, other, _ in numbered) or len(set(numbers)) < len(numbers):
        raise UsageError(f"{folder}: its {split} files are of two versions, such as {numbered[0][2].name}; keep those of one")
    if gap := sorted(set(range(total)) - set(numbers)):
        raise UsageError(f"{folder}: {split}-{gap[0]:05d}-of-{total:05d}{files[0].suffix} is missing, one of {len(gap)}; download it")
    if numbers[-1] >= total:
        raise UsageError(f"{folder}: it holds {split} file {numbers[-1]} of {total}, counted from 0; download the files again")
    return [path for _, _, path in sorted(numbered)]
