"""The interface over both kinds of image sets, and every fault of a layout with its remedy."""

import errno
import os
import re
import shutil
import socket

import pyarrow as pa
import pytest

from dist_alexnet.config import UsageError
from dist_alexnet.data.images import ImageError, passed_over
from dist_alexnet.data.sets.open import open_data, open_split
from dist_alexnet.data.sets.shards import read_batch


@pytest.fixture
def layout(tmp_path):
    """A sound data set of empty files, for each test to break."""
    for name in ("train/cat/1.JPEG", "train/cat/2.png", "train/dog/1.jpg", "val/dog/9.Jpeg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def as_archives(split):
    for name in ("cat", "dog"):
        shutil.rmtree(split / name)
        (split / f"{name}.tar").touch()


def as_saved(split):
    shutil.rmtree(split)
    split.mkdir()
    for name in ("data-00000-of-00001.arrow", "dataset_info.json", "state.json"):
        (split / name).touch()


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
        (lambda root: (root / "val").rename(root / "test"), "it has no val/, but test/; if that is what you mean, type `ln -s test /"),
        (lambda root: shutil.rmtree(root / "train" / "cat"), "class elephant is not in train/, nor are 1 others"),
        (lambda root: [shutil.rmtree(root / "train" / name) for name in ("cat", "dog")], "train: it is empty; add a folder of images"),
        (lambda root: (root / "val/dog").rename(root / "val/wolf"), "class wolf is not in train/"),
        (
            lambda root: (root / "val/dog/9.Jpeg").unlink(),
            "val: its class folders hold no .jpeg/.jpg/.png/.webp/.bmp/.tif/.tiff files; add some",
        ),
        (lambda root: (root / "train/wolf").symlink_to("gone"), "train/wolf: it is a link to gone, which is not there; mend the link"),
        (lambda root: as_archives(root / "train"), "train: it holds 2 archives such as cat.tar; unpack each into a folder of its name"),
        (
            lambda root: as_saved(root / "train"),
            ": it has no validation/; put what `save_to_disk` writes of that split there",
        ),
        (
            lambda root: (root / "train/dog/2.jpg").symlink_to("gone.jpg"),
            "dog/2.jpg: it is a link to gone.jpg, which is not there; mend the",
        ),
        (lambda root: (root / "train/dog/1.jpg").unlink(), "dog: no image of this class lies in it; add .jpeg/.jpg/.png/"),
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


def test_what_is_not_read_is_counted_and_named(layout):
    for name in ("train/cat/.3.jpg", "train/cat/Thumbs.db", "train/cat/._1.JPEG", "train/__MACOSX/1.jpg", "train/.DS_Store"):
        (layout / name).parent.mkdir(exist_ok=True)
        (layout / name).touch()
    assert passed_over(*open_data(layout)) == [], "noise is nobody's fault"
    for name in ("train/cat/notes.txt", "train/cat/more/deep/5.jpg", "train/cat/more/readme", "train/cat/images/6.png", "train/7.jpg"):
        (layout / name).parent.mkdir(parents=True, exist_ok=True)
        (layout / name).touch()
    os.mkfifo(layout / "val/dog/8.jpg")
    (layout / "train/cat/more/circle").symlink_to(layout / "train")
    train, val = open_data(layout)
    assert len(train) == 3
    assert (train.passed_over.count, val.passed_over.count) == (4, 1)
    assert passed_over(val) == [f"1 file(s) passed over, the first: {layout}/val/dog/8.jpg"]


def test_all_formats_that_decode_are_read_by_their_endings(layout):
    for ending in ("webp", "BMP", "tif", "Tiff"):
        (layout / f"val/dog/1.{ending}").touch()
    (layout / "val/dog/1.gif").touch()
    _, val = open_data(layout)
    assert [val.name(index)[4:] for index in range(len(val))] == ["1.BMP", "1.Tiff", "1.tif", "1.webp", "9.Jpeg"]
    assert val.passed_over.first == f"{layout}/val/dog/1.gif"


def test_the_folders_of_tiny_imagenet(layout):
    (layout / "train/dog/images").mkdir()
    (layout / "train/dog/1.jpg").rename(layout / "train/dog/images/1.jpg")
    train, _ = open_data(layout)
    assert train.encoded(2).tobytes() == b"train/dog/1.jpg"
    assert (train.name(2), train.passed_over.count) == ("dog/1.jpg", 0)
    (layout / "val/dog").rename(layout / "val/images")
    (layout / "val/val_annotations.txt").touch()
    with pytest.raises(UsageError, match=r"val: class images is not in train/; its images belong .*; val_annotations.txt says which class"):
        open_data(layout)


@pytest.mark.parametrize("name", ["train/cat/caf\udce9.jpg", "train/caf\udce9/1.jpg"])
def test_names_that_are_not_utf8_are_refused_before_anything_is_written(layout, name):
    (layout / name).parent.mkdir(exist_ok=True)
    (layout / name).touch()
    with pytest.raises(UsageError, match=r"caf\\udce9.*: its name is not UTF-8; rename it") as caught:
        open_data(layout)
    assert str(caught.value).isascii()


def test_an_index_that_may_not_be_read_is_not_called_broken(shards, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr("pathlib.Path.read_text", refuse)  # root, who may run this, reads everything
    with pytest.raises(UsageError, match=re.escape(f"{shards}/dataset.json: Permission denied; a data set must be readable")):
        open_data(shards)


def test_a_pipe_or_a_socket_for_an_image_holds_nobody_up(layout, monkeypatch):
    os.mkfifo(layout / "train/cat/8.jpg")
    with socket.socket(socket.AF_UNIX) as one:
        monkeypatch.chdir(layout / "train/cat")  # the path of a socket must be short
        one.bind("9.jpg")
    shutil.copy(layout / "train/cat/2.png", layout / "train/cat" / f"{'x' * 251}.png")
    train, _ = open_data(layout)
    assert (len(train), train.passed_over.count) == (4, 2)
    assert train.encoded(2).tobytes() == b"train/cat/2.png"
