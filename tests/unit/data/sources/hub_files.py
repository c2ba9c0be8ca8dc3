"""Files in the form of Hugging Face's imagenet-1k, of generated photographs."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from dist_alexnet.data.sources.hugging_face import find_files
from dist_alexnet.data.sources.tables import open_rows
from tests.unit.data.sources.ilsvrc_archives import photograph, synset_of

CLASSES = 5
NAMES = [f"thing {CLASSES - label}, of a kind" for label in range(CLASSES)]  # not in alphabetical order, as in the real ones
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
FEATURES = {"image": {"_type": "Image"}, "label": {"names": NAMES, "_type": "ClassLabel"}}
SCHEMA = pa.schema([("image", STRUCT), ("label", pa.int64())], {"huggingface": json.dumps({"info": {"features": FEATURES}})})
GROUP = 4  # rows

Row = dict[str, object]


def rows_of(split: str, count: int) -> list[Row]:
    """Rows as they are published: the training images shuffled, the synset id at the end of each path."""
    order = np.random.default_rng(len(split)).permutation(count)
    return [row_of(split, int(image)) for image in order]


def row_of(split: str, image: int) -> Row:
    """The photograph of that number."""
    label = image % CLASSES
    synset = synset_of(label)
    path = f"{synset}_{image}_{synset}.JPEG" if split == "train" else f"ILSVRC2012_val_{image + 1:08d}_{synset}.JPEG"
    return {"image": {"bytes": photograph(label, CLASSES, (len(split), image)), "path": path}, "label": label}


def write_rows(path: Path, rows: list[Row], schema: pa.Schema = SCHEMA, kind: str = "") -> None:
    """One file in groups of 4 rows."""
    table = pa.Table.from_pylist(rows, schema=schema)
    if path.suffix == ".parquet":
        parquet.write_table(table, path, row_group_size=GROUP)
        return
    new = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
    with pa.OSFile(str(path), "wb") as sink, new(sink, schema) as writer:
        writer.write_table(table, max_chunksize=GROUP)


def build_hub(folder: Path, kind: str = "parquet", train: int = 25, val: int = 11) -> None:
    """3 files of training images and 2 of validation images, in data/ as Parquet is published or directly as Arrow is cached."""
    form = "data/{}-{:05d}-of-{:05d}.parquet" if kind == "parquet" else "imagenet-1k-{}-{:05d}-of-{:05d}.arrow"
    (folder / "data").mkdir(parents=True)
    for split, count, files in (("train", train, 3), ("validation", val, 2)):
        for number, rows in enumerate(np.array_split(np.array(rows_of(split, count), object), files)):
            write_rows(folder / form.format(split, number, files), rows.tolist(), kind=kind)
    (folder / form.format("test", 0, 1)).write_bytes(b"ignored")


def place(root: Path, split: str, number: int) -> Path:
    """That file of a split."""
    (path,) = (path for path in find_files(root) if f"{split}-{number:05d}-" in path.name)
    return path


def edit(root: Path, split: str, number: int, change: Callable[[list[Row]], object], schema: pa.Schema = SCHEMA) -> None:
    """Write a file again with other rows."""
    path = place(root, split, number)
    is_stream = path.suffix == ".arrow" and path.read_bytes()[:6] != b"ARROW1"
    table = parquet.read_table(path) if path.suffix == ".parquet" else pa.Table.from_batches(open_rows(path)._batches)
    rows = table.to_pylist()
    change(rows)
    write_rows(path, rows, schema, "stream" if is_stream else "file")


def nameless(rows: list[Row]) -> None:
    """Take away the paths that tell synset ids."""
    for row in rows:
        row["image"]["path"] = "picture.jpg" if row["label"] % 2 else None
