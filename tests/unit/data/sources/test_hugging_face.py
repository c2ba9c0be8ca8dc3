"""The Parquet and Arrow files of imagenet-1k."""

import pickle
import re

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from dist_alexnet.data.sources.hugging_face import find_files
from dist_alexnet.data.sources.open import open_source
from tests.unit.data.sources.hub_files import CLASSES, NAMES, build_hub, edit, nameless, place, row_of, rows_of, write_rows
from tests.unit.data.sources.ilsvrc_archives import synset_of

COUNTS = {"train": ("train", 25), "val": ("validation", 11)}


def contents(photographs):
    return list(photographs.part(0, len(photographs)).read())


def test_images_and_labels_in_the_order_of_the_files(hub):
    source = open_source(hub)
    assert source.classes == [synset_of(label) for label in range(CLASSES)]
    assert source.class_names == dict(zip(source.classes, NAMES, strict=True))
    for split, (name, count) in COUNTS.items():
        photographs, rows = source.splits[split], rows_of(name, count)
        assert photographs.labels.dtype == np.int64
        assert photographs.labels.tolist() == [row["label"] for row in rows]
        assert contents(photographs) == [row["image"]["bytes"] for row in rows]
        names = [photographs.name(index) for index in range(count)]
        assert names == [f"{synset_of(row['label'])}/{row['image']['path']}" for row in rows]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(ends=st.tuples(st.integers(0, 25), st.integers(0, 25)).map(sorted))
def test_any_part_is_read_by_whoever_gets_it(hub, ends):
    train = open_source(hub).splits["train"]
    part = pickle.loads(pickle.dumps(train.part(*ends)))
    assert list(part.read()) == [row["image"]["bytes"] for row in rows_of("train", 25)][slice(*ends)]


def test_parts_are_small_to_send(hub):
    assert len(pickle.dumps(open_source(hub).splits["train"].part(0, 25))) < 2000


def test_opening_reads_no_image(tmp_path):
    """With garbage where the images lie, everything but them is as before; and a worker gets reasons."""
    build_hub(tmp_path / "set")
    before = open_source(tmp_path / "set")
    for path in find_files(tmp_path / "set"):
        if "test" not in path.name:
            overwrite_images(path)
    after = open_source(tmp_path / "set")
    np.testing.assert_array_equal(after.splits["train"].labels, before.splits["train"].labels)
    assert all(re.match(r"train-0000\d-of-00003.parquet: ", reason) for reason in contents(after.splits["train"]))


def overwrite_images(path):
    content, metadata = bytearray(path.read_bytes()), parquet.ParquetFile(path).metadata
    for group in range(metadata.num_row_groups):
        column = metadata.row_group(group).column(0)
        assert column.path_in_schema == "image.bytes"
        first = column.dictionary_page_offset or column.data_page_offset
        content[first : first + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(content)


def test_a_group_of_parquet_is_read_once_for_the_parts_in_it(tmp_path, monkeypatch):
    build_hub(tmp_path / "set")
    train, read = open_source(tmp_path / "set").splits["train"], []
    original = parquet.ParquetFile.read_row_group
    monkeypatch.setattr(parquet.ParquetFile, "read_row_group", lambda *args, **kwargs: read.append(args[1]) or original(*args, **kwargs))
    for start in range(len(train)):
        list(train.part(start, start + 1).read())
    assert read == [0, 1, 2, 0, 1, 0, 1]  # files of 9, 8 and 8 rows in groups of 4


def test_images_without_bytes_are_reasons(hub_copy):
    def remove(rows):
        rows[1]["image"] = None
        rows[2]["image"]["bytes"] = None

    edit(hub_copy, "validation", 1, remove)
    val = open_source(hub_copy).splits["val"]
    found = contents(val)
    expected = [row["image"]["bytes"] for row in rows_of("validation", 11)]
    reason = f"{place(hub_copy, 'validation', 1).name} holds no bytes of it"
    assert found == [*expected[:7], reason, reason, *expected[9:]]
    assert re.fullmatch(r"n\d{8}/.*validation-00001-of-00002-group0-row1", val.name(7))


def test_a_file_that_vanishes_is_a_reason(hub_copy):
    train = open_source(hub_copy).splits["train"]
    place(hub_copy, "train", 1).unlink()
    found = contents(train)
    assert [isinstance(one, str) for one in found] == [False] * 9 + [True] * 8 + [False] * 8
    assert re.match(r".*train-00001-of-00003.*: .*No such file", found[9])


def test_a_file_that_is_written_anew_is_opened_anew(hub_copy):
    first = contents(open_source(hub_copy).splits["val"])
    edit(hub_copy, "validation", 1, lambda rows: rows.reverse())
    assert contents(open_source(hub_copy).splits["val"]) == first[:6] + first[:5:-1]


def test_classes_go_by_their_names_where_paths_do_not_tell_synsets(hub_copy):
    ided = open_source(hub_copy)
    edit(hub_copy, "train", 1, nameless)
    named = open_source(hub_copy)
    assert named.classes == sorted(NAMES)
    assert named.class_names == {}
    for split in COUNTS:
        told = [NAMES[ided.classes.index(ided.classes[label])] for label in ided.splits[split].labels]
        assert [named.classes[label] for label in named.splits[split].labels] == told
        assert named.splits[split].name(0).startswith(f"{told[0]}/")


def test_synsets_count_only_where_they_go_with_the_labels_one_to_one(hub_copy):
    def mix(rows):
        rows[0]["image"]["path"] = row_of("train", rows[0]["label"] + 1)["image"]["path"]

    edit(hub_copy, "train", 2, mix)
    assert open_source(hub_copy).classes == sorted(NAMES)


def test_files_in_whatever_folder_and_with_hashes_in_their_names(tmp_path):
    build_hub(tmp_path / "a" / "set")
    for path in find_files(tmp_path / "a" / "set"):
        (tmp_path / path.name.replace(".parquet", "-a09b73f1.parquet")).write_bytes(path.read_bytes())
    assert len(open_source(tmp_path).splits["train"]) == 25


def test_the_library_is_not_needed(hub, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    assert len(open_source(hub).splits["val"]) == 11


def test_a_split_in_one_file(tmp_path):
    build_hub(tmp_path / "set", "stream", train=4)
    write_rows(tmp_path / "imagenet-1k-train.arrow", rows_of("train", 25))
    for number in (0, 1):
        place(tmp_path / "set", "validation", number).rename(tmp_path / place(tmp_path / "set", "validation", number).name)
    source = open_source(tmp_path)
    assert {split: len(images) for split, images in source.splits.items()} == {"train": 25, "val": 11}
