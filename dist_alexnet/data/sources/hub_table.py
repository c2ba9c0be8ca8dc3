"""What the files of Hugging Face's `datasets` say about their images, without reading the images."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dist_alexnet.config import UsageError
from dist_alexnet.data.sources.photographs import Found, tell_nobody
from dist_alexnet.data.sources.tables import UNREADABLE, Columns, Rows, open_rows

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
    column: str  # that the images are in


def read_table(paths: list[Path], tell: Found = tell_nobody) -> Table:
    """What the files of a split say.

    Args:
        paths: all of them, in order.
        tell: called after each.

    Raises:
        UsageError: a file is cut short, is not of this kind, or does not fit the others, or a label is missing or out of range.
    """
    names: list[str] = []
    earlier: Columns | None = None
    sizes, labels, images = [], [], []
    for path in paths:
        try:
            rows = open_rows(path)
            features = _features(rows.schema)
            columns = _columns(rows.schema, features, path)
            table = rows.labels_and_paths(columns)
            found = _class_names(features, columns.label, path)
            labels.append(_labels(table["label"], len(found), path))
            _check_bytes(rows, columns.image, table["path"], path)
        except PermissionError as error:
            raise UsageError(f"{path}: Permission denied; a data set must be readable") from error
        except UNREADABLE as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"{path}: not a complete {path.suffix[1:]} file ({reason}); download it again") from error
        if (found, columns) != (names or found, earlier or columns):
            what = "columns" if found == names else "classes"
            raise UsageError(f"{path}: its {what} differ from those of {paths[0].name}; download all files of one version")
        names, earlier = found, columns
        sizes.append(rows.sizes)
        images += table["path"].cast(pa.large_string()).chunks
        tell(sum(map(len, labels)))
    if not sum(map(len, labels)):
        raise UsageError(f"{paths[0]}: it has no rows, and no other file of the split has any; download them again")
    return Table(paths, sizes, names, np.concatenate(labels), pa.concat_arrays(images), columns.image)


def _features(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """What `datasets` notes of each column; of files that others have written, nothing."""
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        return {column: about for column, about in features.items() if isinstance(about, dict)}
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}


def _columns(schema: pa.Schema, features: dict[str, dict[str, Any]], path: Path) -> Columns:
    """The column of images and that of labels: by what they hold, for every data set calls them otherwise.

    Raises:
        UsageError: one is missing, or of another type, or there are several.
    """
    found = []
    for kind, usual in (("Image", "image"), ("ClassLabel", "label")):
        columns = [column for column, about in features.items() if about.get("_type") == kind]
        if len(columns) > 1 and usual not in columns:
            keep = f"type `remove_columns({columns[1:]})` of datasets in Python and save it again, or with another one left"
            raise UsageError(f"{path}: its columns {', '.join(columns)} are all of type {kind}; {keep}")
        found.append(columns[0] if len(columns) == 1 else usual)
    chosen = Columns(*found)
    types = {field.name: field.type for field in schema}
    image, label = (types.get(column) for column in chosen)
    fields = {field.name: field.type for field in image} if image is not None and pa.types.is_struct(image) else {}
    has_image = fields.get("bytes") in (pa.binary(), pa.large_binary()) and fields.get("path") in (pa.string(), pa.large_string())
    if has_image and label is not None and not features.get(chosen.label, {}).get("names") and pa.types.is_string(label):
        raise UsageError(f"{path}: its column {chosen.label} holds text; {_encode(chosen.label)}")
    if not has_image or label is None or not pa.types.is_integer(label):
        shown = ", ".join(f"{name}: {kind}" for name, kind in types.items())
        raise UsageError(f"{path}: its columns are {shown}; needed are {NEEDED}, as in imagenet-1k")
    return chosen


def _class_names(features: dict[str, dict[str, Any]], label: str, path: Path) -> list[str]:
    names = features.get(label, {}).get("names")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        remedy = f"download the files as they are published, or {_encode(label)}"
        raise UsageError(f"{path}: its metadata (`huggingface`) hold no names of classes; {remedy}")
    return names


def _encode(label: str) -> str:
    return f"type `class_encode_column({label!r})` of datasets in Python, which makes classes of it, and save it again"


def _check_bytes(rows: Rows, column: str, images: pa.ChunkedArray, path: Path) -> None:
    """Refuse a file that holds paths instead of images, if the first one leads nowhere (UsageError)."""
    first = next((image for image in images.drop_null().slice(0, 1).to_pylist()), None)
    if first and not rows.has_bytes(column) and not (os.path.isabs(first) and os.path.isfile(first)):
        raise UsageError(
            f"{path}: it holds paths of images and not the images, and {first} is not there; where the images are, load it with datasets "
            "and type `save_to_disk(FOLDER)`, which puts them in; then name FOLDER"
        )


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
