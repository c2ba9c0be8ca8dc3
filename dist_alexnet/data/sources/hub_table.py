"""What the files of Hugging Face's imagenet-1k say about their images, without reading the images."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dist_alexnet.config import UsageError
from dist_alexnet.data.sources.photographs import Found, tell_nobody
from dist_alexnet.data.sources.tables import UNREADABLE, open_rows

SYNSET = r"^(?:.*/)?(?:(?P<first>n\d{8})_[^/]*|[^/]*_(?P<last>n\d{8})\.\w+)$"  # for RE2
NEEDED = "image: struct<bytes: binary, path: string> and label: int64"


@dataclass(frozen=True)
class Table:
    """What the files of a split say, but for the bytes of the images."""

    paths: list[Path]
    sizes: list[list[int]]  # rows of each group of each file
    names: list[str]  # of the classes, in the order of the labels
    labels: npt.NDArray[np.int64]  # [N]
    images: pa.LargeStringArray  # [N], paths of the images; null where there is none


def read_table(paths: list[Path], tell: Found = tell_nobody) -> Table:
    """What the files of a split say.

    Args:
        paths: all of them, in order.
        tell: called after each.

    Raises:
        UsageError: a file is cut short, is not of this kind, or does not fit the others, or a label is missing or out of range.
    """
    names: list[str] = []
    sizes, labels, images = [], [], []
    for path in paths:
        try:
            rows = open_rows(path)
            _check_columns(rows.schema, path)
            table = rows.labels_and_paths()
            found = _class_names(rows.schema, path)
            labels.append(_labels(table["label"], len(found), path))
        except UNREADABLE as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"{path}: not a complete {path.suffix[1:]} file ({reason}); download it again") from error
        if found != (names or found):
            raise UsageError(f"{path}: its classes differ from those of {paths[0].name}; download all files of one version")
        names = found
        sizes.append(rows.sizes)
        images += table["path"].cast(pa.large_string()).chunks
        tell(sum(map(len, labels)))
    if not sum(map(len, labels)):
        raise UsageError(f"{paths[0]}: it has no rows, and no other file of the split has any; download them again")
    return Table(paths, sizes, names, np.concatenate(labels), pa.concat_arrays(images))


def _check_columns(schema: pa.Schema, path: Path) -> None:
    types = {field.name: field.type for field in schema}
    image, label = types.get("image"), types.get("label")
    fields = {field.name: field.type for field in image} if image is not None and pa.types.is_struct(image) else {}
    has_image = fields.get("bytes") in (pa.binary(), pa.large_binary()) and fields.get("path") in (pa.string(), pa.large_string())
    if not has_image or label is None or not pa.types.is_integer(label):
        shown = ", ".join(f"{name}: {kind}" for name, kind in types.items())
        raise UsageError(f"{path}: its columns are {shown}; needed are {NEEDED}, as in imagenet-1k")


def _class_names(schema: pa.Schema, path: Path) -> list[str]:
    try:
        names = json.loads(schema.metadata[b"huggingface"])["info"]["features"]["label"]["names"]
    except (KeyError, TypeError, ValueError):
        names = None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise UsageError(f"{path}: its metadata (`huggingface`) hold no names of classes; download the files as they are published")
    return names


def _labels(column: pa.ChunkedArray, classes: int, path: Path) -> npt.NDArray[np.int64]:
    """Labels of one file, int64 [rows], all of them within the classes."""
    labels: npt.NDArray[np.int64] = column.cast(pa.int64()).fill_null(-1).to_numpy()
    if len(wrong := np.flatnonzero((labels < 0) | (labels >= classes))):
        told = column[int(wrong[0])].as_py()
        raise UsageError(f"{path}: row {wrong[0]} has label {told}, but labels must be from 0 to {classes - 1}; download it again")
    return labels


def _synset_of(images: pa.LargeStringArray) -> pa.StringArray:
    """The synset id that each path tells, or null."""
    from pyarrow import compute  # here, for it takes long to import

    told = compute.extract_regex(images, SYNSET)  # a group that took no part in the match is empty
    first, last = (told.field(name) for name in ("first", "last"))
    found = compute.if_else(compute.equal(first, ""), last, first)
    return compute.if_else(told.is_valid(), found, None)


def synsets_of(table: Table) -> list[str]:
    """The synset id of each label; empty unless every path tells one and they go with the labels one to one."""
    told = _synset_of(table.images)
    if told.null_count:
        return []
    coded = told.dictionary_encode()
    pairs = np.unique(np.stack([table.labels, coded.indices.to_numpy()]), axis=1)  # [2, pairs], sorted by label
    if not pairs.shape[1] == len(table.names) == len(coded.dictionary):
        return []
    return [coded.dictionary[int(code)].as_py() for code in pairs[1]]


def check_synsets(table: Table, synsets: list[str]) -> None:
    """Refuse images whose path tells another class than their label (UsageError), as it is when splits of two versions meet."""
    told = np.array(_synset_of(table.images).fill_null("").to_pylist())
    expected = np.array(synsets)[table.labels]
    if len(wrong := np.flatnonzero((told != "") & (told != expected))):
        first = wrong[0]
        raise UsageError(
            f"{table.paths[0].parent}: the label of {table.images[int(first)]} says {expected[first]}; download all files of one version"
        )
