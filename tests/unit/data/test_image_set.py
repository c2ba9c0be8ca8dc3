"""The interface over both kinds of image sets, and every fault of a layout with its remedy."""

import errno
import os
import re
import shutil

import pyarrow as pa
import pytest

from dist_alexnet.config import UsageError
from dist_alexnet.data.image_set import ImageError, open_data, open_split
from dist_alexnet.data.shards import read_batch


@pytest.fixture
def layout(tmp_path):
    """A sound data set of empty files, for each test to break."""
    for name in ("train/cat/1.JPEG", "train/cat/2.png", "train/dog/1.jpg", "val/dog/9.Jpeg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


@pytest.fixture
def shards(prepared, tmp_path):
    return shutil.copytree(prepared, tmp_path / "set")


def test_class_folders_are_numbered_by_the_classes_of_train(layout):
    (layout / "train" / "cat" / "notes.txt").touch()
    (layout / "train" / ".hidden").mkdir()
    train, val = open_data(layout)
    assert train.classes == val.classes == ["cat", "dog"]
    assert train.labels.tolist() == [0, 0, 1]
    assert val.labels.tolist() == [1]
    assert [train.where(index)[len(str(layout)) + 1 :] for index in range(len(train))] == [
        "train/cat/1.JPEG",
        "train/cat/2.png",
        "train/dog/1.jpg",
    ]
    assert val.encoded(0).tobytes() == b"val/dog/9.Jpeg"
    assert train.prepared_size is None
    assert train.statistics is None


def test_shards_hold_the_photographs_in_order(photographs, prepared):
    for split in ("train", "val"):
        folder, shards = open_split(photographs, split), open_split(prepared, split)
        assert shards.classes == folder.classes
        assert [shards.label(index) for index in range(len(shards))] == folder.labels.tolist()
        assert shards.prepared_size == 64
        for index in range(len(folder)):
            name = folder.path(index).relative_to(photographs / split)
            assert shards.where(index).endswith(f".arrow row {index % 7} ({name})")


def test_shards_hold_whole_files(prepared):
    image = open_split(prepared, "train").encoded(20)
    assert image[:2].tobytes() == b"\xff\xd8"
    assert image[-2:].tobytes() == b"\xff\xd9"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda root: shutil.rmtree(root), "there is no such folder; a data set is a folder with train/ and val/"),
        (lambda root: shutil.rmtree(root / "train"), "it has no train/; a data set is a folder with"),
        (lambda root: shutil.rmtree(root / "val"), "it has no val/; a data set is a folder with"),
        (lambda root: shutil.rmtree(root / "train" / "cat"), "class elephant is not in train/, nor are 1 others"),
        (lambda root: [shutil.rmtree(root / "train" / name) for name in ("cat", "dog")], "train: it is empty; add a folder of images"),
        (lambda root: (root / "val/dog").rename(root / "val/wolf"), "class wolf is not in train/"),
        (lambda root: (root / "val/dog/9.Jpeg").unlink(), "val: its class folders hold no .jpeg/.jpg/.png files; add some"),
        (
            lambda root: (root / "train/dog/2.jpg").symlink_to("gone.jpg"),
            "dog/2.jpg: it is a link to gone.jpg, which is not there; mend or",
        ),
        (lambda root: (root / "train/dog/1.jpg").unlink(), "dog: no image of this class; add .jpeg/.jpg/.png files or delete the folder"),
    ],
)
def test_faults_of_class_folders(layout, broken, message):
    if "elephant" in message:
        for name in ("elephant", "fox"):
            (layout / "val" / name).mkdir()
    broken(layout)
    with pytest.raises(UsageError, match=re.escape(message)):
        open_data(layout)


def test_folders_are_no_images_and_links_are_what_they_lead_to(layout):
    (layout / "train" / "cat" / "3.jpg").mkdir()
    (layout / "train" / "cat" / "4.jpg").symlink_to("1.JPEG")
    (layout / "train" / "wolf").symlink_to("dog")
    train, _ = open_data(layout)
    assert [train.where(index)[len(str(layout)) + 7 :] for index in range(len(train))] == [
        "cat/1.JPEG",
        "cat/2.png",
        "cat/4.jpg",
        "dog/1.jpg",
        "wolf/1.jpg",
    ]


def test_a_folder_that_may_not_be_read(layout, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr("os.scandir", refuse)  # root, who may run this, reads everything
    with pytest.raises(UsageError, match=re.escape(f"{layout}") + r".*: Permission denied; a data set must be readable"):
        open_data(layout)


def test_a_file_that_vanishes_is_named(layout):
    train, _ = open_data(layout)
    (layout / "train/cat/2.png").unlink()
    with pytest.raises(ImageError, match="No such file or directory"):
        train.encoded(1)


def test_images_outside_of_class_folders(layout):
    shutil.move(layout / "val/dog/9.Jpeg", layout / "val")
    (layout / "val/dog").rmdir()
    with pytest.raises(UsageError, match=r"val: 1 images lie in it directly; move each into .*val/<class>/, named as in train/"):
        open_data(layout)


def test_a_shard_that_shrinks_while_it_is_read(shards):
    train, _ = open_data(shards)
    train.encoded(0)
    os.truncate(train.paths[0], 1000)
    with pytest.raises(ImageError, match="its shard has been cut short"):
        train.encoded(6)


def test_a_shard_that_vanishes_before_it_is_read(shards):
    train, _ = open_data(shards)
    train.paths[0].unlink()
    with pytest.raises(ImageError, match="No such file or directory"):
        train.encoded(0)
    assert train.where(0).endswith("00000.arrow row 0 (its name cannot be read)")


def test_any_arrow_program_reads_a_shard(prepared):
    batch = read_batch(prepared / "train/00000.arrow")
    assert batch.schema == pa.schema({"image": pa.large_binary(), "label": pa.int32(), "name": pa.string()})
    assert len(batch) == 7


def test_raw_squares_are_pixels(raw):
    train, _ = open_data(raw)
    assert train.encoded(0).shape == (64, 64, 3)
    assert train.encoding == "raw"


def test_shards_of_which_nothing_says_what_they_are(shards, layout):
    shutil.rmtree(layout / "val")
    shutil.copytree(shards / "val", layout / "val")
    with pytest.raises(UsageError, match=r"shards, but no dataset.json"):
        open_data(layout)
