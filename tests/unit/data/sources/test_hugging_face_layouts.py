"""Every layout that the library `datasets` (5.2) writes, as it writes it: file names, notes beside them, metadata of columns, paths.

Written here with pyarrow alone; the originals were made with that library and compared by hand.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from dist_alexnet.config import UsageError
from dist_alexnet.data.images import passed_over
from dist_alexnet.data.sets.open import open_data
from dist_alexnet.data.sources.open import open_source
from tests.unit.data.sources.hub_files import GROUP, NAMES, STRUCT, rows_of

LABEL = {"names": NAMES, "_type": "ClassLabel"}
FEATURES = {"image": {"_type": "Image"}, "label": LABEL}
TRAIN, VAL = rows_of("train", 25), rows_of("validation", 11)
Features = Mapping[str, Mapping[str, object]]
Change = Callable[[dict[str, object]], object]


def write(path: Path, rows: list[dict[str, object]], features: Features = FEATURES, change: Change = lambda row: None) -> None:
    """A file of these rows, whose values go to the columns in their order."""
    image, *others = features
    rows = [{image: row["image"], **dict.fromkeys(others, row["label"])} for row in json.loads(json.dumps(rows, default=bytes.hex))]
    for row in rows:
        row[image]["bytes"] = bytes.fromhex(row[image]["bytes"])
        change(row[image])
    kinds = [pa.string() if features[name].get("dtype") == "string" else pa.int64() for name in others]
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    schema = pa.schema([(image, STRUCT), *zip(others, kinds, strict=True)], metadata)
    if pa.string() in kinds:
        rows = [{name: value if name == image else str(value) for name, value in row.items()} for row in rows]
    table = pa.Table.from_pylist(rows, schema=schema)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        parquet.write_table(table, path, row_group_size=GROUP)
        return
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(table, max_chunksize=GROUP)


def build(folder: Path, *names: str, val: str, features: Features = FEATURES, change: Change = lambda row: None) -> None:
    """The training rows shared out to these files, in order; the others in one. Notes beside them as `datasets` leaves them."""
    size = -(-len(TRAIN) // len(names))
    for number, name in enumerate(names):
        write(folder / name, TRAIN[number * size : (number + 1) * size], features, change)
    write(folder / val, VAL, features, change)
    for place in {(folder / name).parent for name in (*names, val)}:
        (place / "dataset_info.json").write_text("{}")
        if place != folder:
            (place / "state.json").write_text("{}")


SHARD = "data-{:05d}-of-{:05d}.arrow"
LAYOUTS = {
    "save_to_disk": (["train/data-00000-of-00001.arrow"], "validation/data-00000-of-00001.arrow"),
    "save_to_disk, several shards": ([f"train/{SHARD.format(n, 3)}" for n in range(3)], "validation/data-00000-of-00001.arrow"),
    "save_to_disk, a split called val": (["train/data-00000-of-00001.arrow"], "val/data-00000-of-00001.arrow"),
    "save_to_disk, before 2.8": (["train/dataset.arrow"], "validation/dataset.arrow"),
    "cache of imagefolder": (["imagefolder-train.arrow"], "imagefolder-validation.arrow"),
    "cache of parquet": ([f"parquet-train-0000{n}-of-00002.arrow" for n in (0, 1)], "parquet-validation.arrow"),
    "cache of imagenet-1k": ([f"imagenet-1k-train-0000{n}-of-00003.arrow" for n in range(3)], "imagenet-1k-validation.arrow"),
    "to_parquet": (["train.parquet"], "validation.parquet"),
    "to_parquet, val": (["train.parquet"], "val.parquet"),
    "push_to_hub": ([f"data/train-0000{n}-of-00005-0a1b2c3d4e5f6a7b.parquet" for n in range(5)], "data/validation-00000-of-00001.parquet"),
}


def contents(folder: Path) -> dict[str, list[bytes | str]]:
    source = open_source(folder)
    return {split: list(images.part(0, len(images)).read()) for split, images in source.splits.items()}


EXPECTED = {"train": [row["image"]["bytes"] for row in TRAIN], "val": [row["image"]["bytes"] for row in VAL]}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_is_read_whole(layout: str, tmp_path: Path) -> None:
    names, val = LAYOUTS[layout]
    build(tmp_path, *names, val=val)
    assert contents(tmp_path) == EXPECTED
    if names[0].endswith(".parquet"):
        with pytest.raises(UsageError, match="a Parquet file is read a whole group of images at a time; run `dist-alexnet data prepare"):
            open_data(tmp_path)
        return
    train, validation = open_data(tmp_path)
    assert [train.encoded(index).tobytes() for index in range(len(train))] == EXPECTED["train"]
    assert [train.classes[train.label(i)] for i in (0, 24)] == [TRAIN[i]["image"]["path"][:9] for i in (0, 24)]
    assert passed_over(train, validation) == []


@pytest.mark.parametrize("columns", [("image", "labels"), ("img", "fine_label"), ("img", "label", "coarse")])
def test_columns_go_by_what_they_hold(columns: tuple[str, ...], tmp_path: Path) -> None:
    features = {columns[0]: {"_type": "Image"}, **dict.fromkeys(columns[1:], LABEL)}
    build(tmp_path, "train.parquet", val="validation.parquet", features=features)
    assert contents(tmp_path) == EXPECTED


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_images_may_lie_in_files_of_their_own(suffix: str, tmp_path: Path) -> None:
    """As `imagefolder` caches them, and as they stay in `to_parquet`."""

    def apart(image: dict[str, object]) -> None:
        file = tmp_path / "photographs" / str(image["path"])
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(image["bytes"])
        image.update(bytes=None, path=str(file))

    build(tmp_path, f"train.{suffix}", val=f"validation.{suffix}", change=apart)
    assert contents(tmp_path) == EXPECTED
    gone = tmp_path / "photographs" / TRAIN[3]["image"]["path"]
    gone.unlink()
    assert contents(tmp_path)["train"][3] == f"train.{suffix} holds no bytes of it, and {gone} is not there"
    (tmp_path / "photographs").rename(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=r"holds paths of images and not the images, and .* is not there; .* `save_to_disk\(FOLDER\)`"):
        open_source(tmp_path)


REFUSED = {
    "two columns of labels": (
        {"img": {"_type": "Image"}, "fine_label": LABEL, "coarse_label": LABEL},
        r"its columns fine_label, coarse_label are all of type ClassLabel; type `remove_columns\(\['coarse_label'\]\)` of datasets",
    ),
    "labels as text": (
        {"image": {"_type": "Image"}, "label": {"dtype": "string", "_type": "Value"}},
        r"its column label holds text; type `class_encode_column\('label'\)` of datasets in Python",
    ),
    "labels without names": (
        {"image": {"_type": "Image"}, "label": {"dtype": "int64", "_type": "Value"}},
        r"hold no names of classes; download the files as they are published, or type `class_encode_column\('label'\)` of datasets",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_columns_that_are_not_understood(case: str, tmp_path: Path) -> None:
    features, message = REFUSED[case]
    build(tmp_path, "train/data-00000-of-00001.arrow", val="validation/data-00000-of-00001.arrow", features=features)
    with pytest.raises(UsageError, match=message) as caught:
        open_source(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("names", [("train.parquet", "test.parquet"), ("train/dataset.arrow", "test/dataset.arrow")])
def test_a_test_split_is_not_taken_for_validation_without_a_word(names: tuple[str, str], tmp_path: Path) -> None:
    build(tmp_path, names[0], val=names[1])
    with pytest.raises(UsageError, match="it has no validation.*; or, to validate on those of test.*, type `ln -s ") as caught:
        open_source(tmp_path)
    _, _, target, link = str(caught.value).split("`")[-2].split()
    Path(link).symlink_to(target)
    source = open_source(tmp_path)
    assert len(source.splits["val"]) == 11
    assert source.passed_over.first == str(tmp_path / names[1]), "what is not read is named, whatever its name"


def test_a_shard_of_save_to_disk_that_is_missing(tmp_path: Path) -> None:
    names, val = LAYOUTS["save_to_disk, several shards"]
    build(tmp_path, *names, val=val)
    (tmp_path / names[1]).unlink()
    with pytest.raises(UsageError, match=r": train/data-00001-of-00003\.arrow is missing, one of 1; download it"):
        open_data(tmp_path)
