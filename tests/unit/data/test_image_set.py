"""The interface over both kinds of image sets, and every fault of a layout with its remedy."""

import errno
import os
import re
import shutil

import numpy as np
import pyarrow as pa
import pytest

from dist_alexnet.config import UsageError
from dist_alexnet.data.image_set import open_data, open_split
from dist_alexnet.data.shards import read_shard, write_shard


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
    assert train.mean is None


def test_shards_hold_the_photographs_in_order(photographs, prepared):
    for split in ("train", "val"):
        folder, shards = open_split(photographs, split), open_split(prepared, split)
        assert shards.classes == folder.classes
        np.testing.assert_array_equal(shards.labels, folder.labels)
        assert shards.prepared_size == 64
        for index in range(len(folder)):
            name = folder.path(index).relative_to(photographs / split)
            assert shards.where(index).endswith(f".arrow row {index % 7} ({name})")


def test_shards_are_read_in_place(prepared):
    image = open_split(prepared, "train").encoded(20)
    assert image[:2].tobytes() == b"\xff\xd8"
    assert image[-2:].tobytes() == b"\xff\xd9"
    assert not image.flags.owndata


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
    with pytest.raises(UsageError, match=re.escape(f"{layout}/train/cat/2.png: No such file or directory; put it back")):
        train.encoded(1)


def test_images_outside_of_class_folders(layout):
    shutil.move(layout / "val/dog/9.Jpeg", layout / "val")
    (layout / "val/dog").rmdir()
    with pytest.raises(UsageError, match=r"val: 1 images lie in it directly; move each into .*val/<class>/, named as in train/"):
        open_data(layout)


def relabel(path, label):
    """The same shard with this label on every image."""
    batch, info = read_shard(path)
    write_shard(path, [batch["image"], pa.array([label] * len(batch), pa.int32()), batch["name"]], info)


def _cut_short(path):
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda root: _cut_short(root / "train/00001.arrow"), "00001.arrow: not a complete shard"),
        (lambda root: (root / "train/00001.arrow").write_bytes(b""), "00001.arrow: not a complete shard"),
        (lambda root: (root / "val/00000.arrow").unlink() or (root / "val/00001.arrow").unlink(), "val: its shards are gone; run .* again"),
        (lambda root: [shard.unlink() for shard in (root / "train").iterdir()], "train: its shards are gone; run .* again"),
        (lambda root: relabel(root / "val/00001.arrow", 4), "val: it has no images, or labels beyond its 4 classes; prepare"),
        (lambda root: relabel(root / "val/00001.arrow", -1), "val: it has no images, or labels beyond its 4 classes; prepare"),
        (lambda root: (root / "train/00001.arrow").unlink(), "train: its 3 shards are not numbered from 00000 without a gap"),
    ],
)
def test_faults_of_shards(shards, broken, message):
    broken(shards)
    with pytest.raises(UsageError, match=message):
        open_data(shards)


def test_an_arrow_file_of_somebody_else(shards):
    table = pa.table({"image": [b"1"]})
    with pa.OSFile(str(shards / "val/00000.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(UsageError, match="an Arrow file, but no shard of this version"):
        open_data(shards)


def test_splits_that_were_not_prepared_together(shards, layout):
    shutil.rmtree(layout / "train")
    shutil.copytree(shards / "train", layout / "train")
    shutil.rmtree(layout / "val")
    shutil.copytree(shards / "train", layout / "val")
    open_data(layout)
    shutil.rmtree(layout / "train")
    for name in ("train/cat/1.jpg", "train/dog/1.jpg"):
        (layout / name).parent.mkdir(parents=True, exist_ok=True)
        (layout / name).touch()
    with pytest.raises(UsageError, match="train/ and val/ were not prepared together"):
        open_data(layout)
