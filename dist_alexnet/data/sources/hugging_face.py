"""What Hugging Face distributes (Parquet) and its library `datasets` writes (Parquet, Arrow), such as imagenet-1k; without that library.

A column of images, `struct<bytes: binary, path: string>`, and one of labels, int64: the metadata of each file say which they are (in
imagenet-1k `image` and `label`) and what the classes are called. Paths in imagenet-1k look like n03954731_53652_n03954731.JPEG and
ILSVRC2012_val_00000001_n01751748.JPEG, so that synset ids can be told from them.
"""

import re
import shlex
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dist_alexnet.config import UsageError
from dist_alexnet.data.sources.hub_table import Table, check_synsets, read_table, synsets_of
from dist_alexnet.data.sources.photographs import Found, Source, tell_nobody, unread
from dist_alexnet.data.sources.tables import RowParts, RowSpan

NAMES = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test"}  # of splits
SPLIT, NUMBER = rf"(?P<split>{'|'.join(NAMES)})", r"(?P<number>\d{1,6})-of-(?P<total>\d{1,6})"
FILE = re.compile(rf"(?:.+-)?{SPLIT}(?:-{NUMBER})?(?:-[0-9a-f]+)?\.(?:parquet|arrow)")
SAVED = re.compile(rf"{SPLIT}/(?:data-{NUMBER}|dataset)\.arrow")  # by `save_to_disk`
NOTES = ("dataset_info.json", "state.json")  # that it leaves beside them


class HubImages:
    """One split, in the order of the files and of the rows in them.

    Args:
        table: what its files say.
        classes: sorted.
        rank: [classes], index into classes of each label in the files.
    """

    def __init__(self, table: Table, classes: list[str], rank: npt.NDArray[np.int64]) -> None:
        self.labels: npt.NDArray[np.int64] = rank[table.labels]
        self._classes, self._images, self._column = classes, table.images, table.column
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
            spans.append(RowSpan(*self._groups[group], row, row + rows, self._column))
            start += rows
        return RowParts(spans)

    def _locate(self, index: int) -> tuple[int, int]:
        group = int(np.searchsorted(self._starts, index, side="right")) - 1
        return group, int(index - self._starts[group])


def find_files(folder: Path) -> list[Path]:
    """The files of Hugging Face in a folder and of `save_to_disk` in folders in it; or else those in data/."""
    published = sorted(path for path in folder.iterdir() if FILE.fullmatch(path.name)) if folder.is_dir() else []
    saved = [path for name in NAMES if is_saved(folder / name) for path in sorted((folder / name).iterdir()) if _match(path)]
    return published + saved or (find_files(folder / "data") if (folder / "data").is_dir() else [])


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` wrote this folder, a split or a whole data set of one."""
    return any((folder / note).is_file() for note in NOTES) and any(folder.glob("*.arrow"))


def _match(path: Path) -> re.Match[str] | None:
    return _saved(path) or FILE.fullmatch(path.name)


def _saved(path: Path) -> re.Match[str] | None:
    return SAVED.fullmatch(f"{path.parent.name}/{path.name}")


def open_hugging_face(folder: Path, tell: Found = tell_nobody) -> Source:
    """The files in a folder as a source. Its classes are synset ids where all paths of the training images tell them, else the names.

    Raises:
        UsageError: a file or a split is missing, a file is cut short or is not of this kind, or they do not fit together.
    """
    files = find_files(folder)
    if len(formats := {path.suffix: path.name for path in files}) > 1:
        raise UsageError(f"{folder}: it holds both {' and '.join(sorted(formats.values()))}; move those of one format elsewhere")
    paths = {split: _complete(folder, files, split) for split in ("train", "validation")}
    train = read_table(paths["train"], tell)
    val = read_table(paths["validation"], lambda found: tell(len(train.labels) + found))
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
    passed_over = unread({path.parent for path in files} | {folder}, {*paths["train"], *paths["validation"]})
    return Source(classes, {"train": train_images, "val": val_images}, names, passed_over)


def _complete(folder: Path, files: list[Path], split: str) -> list[Path]:
    """The files of a split in order, none missing."""
    told = [(path, match) for path in files if (match := _match(path)) and NAMES[match["split"]] == split]
    numbered = [(int(match["number"] or 0), int(match["total"] or 1), path) for path, match in told]
    if not numbered:
        raise UsageError(_without(folder, files, split))
    total = max(total for _, total, _ in numbered)
    numbers = sorted(number for number, _, _ in numbered)
    if any(other != total for _, other, _ in numbered) or len(set(numbers)) < len(numbers):
        raise UsageError(f"{folder}: its {split} files are of two versions, such as {numbered[0][2].name}; keep those of one")
    if gap := sorted(set(range(total)) - set(numbers)):
        stem = f"{told[0][0].parent.name}/data" if _saved(told[0][0]) else split
        raise UsageError(f"{folder}: {stem}-{gap[0]:05d}-of-{total:05d}{files[0].suffix} is missing, one of {len(gap)}; download it")
    if numbers[-1] >= total:
        raise UsageError(f"{folder}: it holds {split} file {numbers[-1]} of {total}, counted from 0; download the files again")
    return [path for _, _, path in sorted(numbered)]


def _without(folder: Path, files: list[Path], split: str) -> str:
    """What to say of a split that is missing."""
    places = [path.parent if _saved(path) else path for path in files]
    test = [place for path, place in zip(files, places, strict=True) if (match := _match(path)) and match["split"] == "test"]
    instead = ""
    if split == "validation" and test:
        link = test[0].with_name(test[0].name.replace("test", split))
        each = " for each of its files" if len(set(test)) > 1 else ""
        instead = f"; or, to validate on those of {test[0].name}, type `{shlex.join(['ln', '-s', test[0].name, str(link)])}`{each}"
    if places[0] != files[0]:
        return f"{folder}: it has no {split}/; put what `save_to_disk` writes of that split there{instead}"
    return f"{folder}: it has no {split}-00000-of-...{files[0].suffix}; download its files and put them beside these{instead}"
