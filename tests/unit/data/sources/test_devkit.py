"""The development kit beside archives and beside a flat val/, and every fault of it."""

import re
import shutil
import tarfile

import numpy as np
import pytest

from dist_alexnet.config import UsageError
from dist_alexnet.data.sets.open import open_data
from dist_alexnet.data.sources.devkit import DEVKIT, META, TRUTH, open_devkit
from dist_alexnet.data.sources.ilsvrc import TRAIN, VAL
from dist_alexnet.data.sources.open import open_source
from tests.unit.data.sources.ilsvrc_archives import files_of, meta_of, synset_of, val_name, write_devkit

KIT = f"{DEVKIT}.tar.gz"


@pytest.fixture
def flat(archives):
    """What people have who unpack the archives: class folders to train on, and the validation images in one heap."""
    for name, images in files_of(archives / TRAIN).items():
        folder = archives / "train" / name.removesuffix(".tar")
        folder.mkdir(parents=True)
        for file, data in files_of(images).items():
            (folder / file).write_bytes(data)
    (archives / "val").mkdir()
    for file, data in files_of(archives / VAL).items():
        (archives / "val" / file).write_bytes(data)
    (archives / TRAIN).unlink()
    (archives / VAL).unlink()
    return archives


def unpack(root):
    with tarfile.open(root / KIT) as archive:
        archive.extractall(root, filter="data")
    (root / KIT).unlink()


def rewrite(root, meta=None, truth=None, without=None):
    """Write the kit again with another file in it, or without one."""
    files = {name.removeprefix(f"{DEVKIT}/"): data for name, data in files_of(root / KIT).items()}
    files |= {name: data for name, data in ((META, meta), (TRUTH, truth)) if data is not None}
    write_devkit(root / KIT, {name: data for name, data in files.items() if name != without})


def labels(source):
    return {split: photographs.labels.tolist() for split, photographs in source.splits.items()}


def test_the_ids_of_the_kit_are_not_the_labels(built_archives):
    """Else a mix-up of the two would pass all the other tests."""
    kit = open_devkit(built_archives / KIT)
    assert [kit.synsets[identity] for identity in sorted(kit.synsets)] != sorted(kit.words)
    assert kit.truth.tolist() != [image % 20 + 1 for image in range(40)]


def test_a_flat_val_folder_is_labelled_by_the_kit(flat, built_archives):
    archived, folders = open_source(built_archives), open_source(flat)
    assert (folders.classes, folders.class_names, labels(folders)) == (archived.classes, archived.class_names, labels(archived))
    for split in ("train", "val"):
        one, other = archived.splits[split], folders.splits[split]
        assert [one.name(index) for index in range(len(one))] == [other.name(index) for index in range(len(other))]
        assert list(one.part(0, len(one)).read()) == list(other.part(0, len(other)).read())


def test_a_flat_val_folder_can_be_trained_on_without_preparing(flat):
    _, val = open_data(flat)
    np.testing.assert_array_equal(val.labels, np.arange(40) % 20)
    assert val.where(3) == str(flat / "val" / val_name(3))
    assert val.encoded(3).tobytes() == (flat / "val" / val_name(3)).read_bytes()


def test_an_unpacked_kit_says_the_same(archives):
    packed = open_source(archives)
    unpack(archives)
    unpacked = open_source(archives)
    assert (unpacked.class_names, labels(unpacked)) == (packed.class_names, labels(packed))


def test_a_kit_that_nobody_needs_is_not_read(flat):
    for file in (flat / "val").iterdir():
        (flat / "val" / synset_of(0)).mkdir(exist_ok=True)
        shutil.move(file, flat / "val" / synset_of(0))
    (flat / KIT).write_bytes(b"broken")
    assert open_source(flat).class_names == {}


def test_a_flat_val_folder_without_a_kit(flat):
    (flat / KIT).unlink()
    message = f"{flat}/val: 40 images lie in it directly; move each into {flat}/val/<class>/, named as in train/, or put {KIT} into {flat}"
    with pytest.raises(UsageError, match=re.escape(message)):
        open_source(flat)
    (flat / "val" / "cat.jpg").touch()
    with pytest.raises(UsageError, match=r"41 images lie in it directly; move each into .*/val/<class>/, named as in train/$"):
        open_source(flat)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (
            lambda root: shutil.rmtree(root / "train" / synset_of(3)),
            f"val: {val_name(3)} is of class n01440875, which the training set lacks",
        ),
        (
            lambda root: (root / "val" / val_name(39)).unlink(),
            f"val: its 39 images are not the 40 of the ground truth in {KIT}: {val_name(39)}",
        ),
        (
            lambda root: (root / "val" / val_name(5)).rename(root / "val" / val_name(90)),
            f"{val_name(5)} is missing; download the images and",
        ),
    ],
)
def test_faults_of_a_flat_val_folder(flat, broken, message):
    broken(flat)
    with pytest.raises(UsageError, match=re.escape(message)):
        open_source(flat)


IDS = {identity: synset_of(identity - 1) for identity in range(1, 21)}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda root: rewrite(root, without=META), f"{KIT}: it lacks data/meta.mat; download {KIT} again"),
        (lambda root: rewrite(root, without=TRUTH), f"{KIT}: it lacks data/ILSVRC2012_validation_ground_truth.txt; download {KIT} again"),
        (lambda root: unpack(root) or (root / DEVKIT / TRUTH).unlink(), f"{DEVKIT}: it lacks data/ILSVRC2012_validation_ground_truth.txt"),
        (
            lambda root: (root / KIT).write_bytes(b"<html>"),
            f"{KIT}: no complete archive of the development kit (not a gzip file); download it again",
        ),
        (lambda root: (root / KIT).write_bytes((root / KIT).read_bytes()[:300]), f"{KIT}: no complete archive of the development kit ("),
        (lambda root: rewrite(root, meta=b""), f"{KIT}: data/meta.mat is not the table of ILSVRC's classes ("),
        (lambda root: rewrite(root, meta=b"no matrix at all" * 40), "meta.mat is not the table of ILSVRC's classes ("),
        (lambda root: rewrite(root, meta=meta_of(IDS)[:900]), "meta.mat is not the table of ILSVRC's classes ("),
        (lambda root: rewrite(root, meta=meta_of({})), "meta.mat lists no classes, one twice, or others than synset ids; download the"),
        (
            lambda root: rewrite(root, meta=meta_of(IDS | {20: synset_of(0)})),
            "meta.mat lists no classes, one twice, or others than synset ids",
        ),
        (
            lambda root: rewrite(root, meta=meta_of(IDS | {20: "kit fox"})),
            "meta.mat lists no classes, one twice, or others than synset ids",
        ),
        (
            lambda root: rewrite(root, truth=b"1\n" * 39),
            f"{VAL}: its 40 images are not the 39 of the ground truth in {KIT}: {val_name(39)}",
        ),
        (
            lambda root: rewrite(root, truth=b"1\n" * 41),
            f"{VAL}: its 40 images are not the 41 of the ground truth in {KIT}: {val_name(40)}",
        ),
        (lambda root: rewrite(root, truth=b""), f"{VAL}: its 40 images are not the 0 of the ground truth in {KIT}: {val_name(0)}"),
        (
            lambda root: rewrite(root, truth=b"1\n" * 39 + b"0\n"),
            "ground_truth.txt, line 40: '0' is none of the 20 ids of classes; download",
        ),
        (lambda root: rewrite(root, truth=b"1\n21\n" * 20), "ground_truth.txt, line 2: '21' is none of the 20 ids of classes"),
        (lambda root: rewrite(root, truth=b"1\n\n" * 20), "ground_truth.txt, line 2: '' is none of the 20 ids of classes"),
        (lambda root: rewrite(root, truth=b"\xff\xfe1\x002\n" * 40), "ground_truth.txt, line 1: "),
    ],
)
def test_faults_of_the_kit(archives, broken, message):
    broken(archives)
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        open_source(archives)
    assert "\n" not in str(caught.value)


def test_lines_may_end_as_on_windows(archives):
    before = open_source(archives)
    truth = files_of(archives / KIT)[f"{DEVKIT}/{TRUTH}"]
    rewrite(archives, truth=truth.replace(b"\n", b"\r\n"))
    assert labels(open_source(archives)) == labels(before)


def test_one_class_is_a_table_too(archives):
    rewrite(archives, meta=meta_of({7: "n00000007"}), truth=b"7\n" * 40)
    assert open_devkit(archives / KIT).synsets == {7: "n00000007"}
