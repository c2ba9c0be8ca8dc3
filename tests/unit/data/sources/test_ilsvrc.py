"""The archives of ILSVRC 2012 are read where they lie, and what is not them is refused."""

import io
import pickle
import re
import tarfile

import numpy as np
import pytest
from PIL import Image

from dist_alexnet.config import UsageError
from dist_alexnet.data.sources.devkit import DEVKIT
from dist_alexnet.data.sources.ilsvrc import TRAIN, VAL
from dist_alexnet.data.sources.open import open_source
from tests.unit.data.sources.ilsvrc_archives import files_of, synset_of, tar_of, val_name

FIRST, LAST = f"{synset_of(0)}.tar", f"{synset_of(19)}.tar"


def change(path, change_files):
    """Write an archive again with other contents."""
    files = files_of(path)
    change_files(files)
    path.write_bytes(tar_of(files))


def change_class(root, change_files, archive=FIRST):
    """Write the archive of a class again with other images."""

    def change_one(files):
        inner = files_of(files[archive])
        change_files(inner)
        files[archive] = tar_of(inner)

    change(root / TRAIN, change_one)


def all_of(photographs):
    return [photographs.name(index) for index in range(len(photographs))], list(photographs.part(0, len(photographs)).read())


def test_classes_names_and_labels(built_archives):
    source = open_source(built_archives)
    assert source.classes == [synset_of(label) for label in range(20)]
    assert source.class_names == {name: f"words of {name}" for name in source.classes}
    train, val = source.splits["train"], source.splits["val"]
    assert (len(train), len(val), train.labels.dtype, val.labels.dtype) == (60, 40, np.int64, np.int64)
    assert train.labels.tolist() == np.repeat(np.arange(20), 3).tolist()
    assert val.labels.tolist() == [image % 20 for image in range(40)]
    assert [train.name(index) for index in (0, 4)] == ["n01440764/n01440764_0.JPEG", "n01440801/n01440801_1.JPEG"]
    assert val.name(21) == f"n01440801/{val_name(21)}"


def test_a_part_reads_the_photographs_where_they_lie(built_archives):
    source = open_source(built_archives)
    classes = files_of(built_archives / TRAIN)
    expected = {"train": [image for label in range(20) for image in files_of(classes[f"{synset_of(label)}.tar"]).values()]}
    expected["val"] = list(files_of(built_archives / VAL).values())
    for split, images in expected.items():
        part = pickle.loads(pickle.dumps(source.splits[split].part(2, 33)))
        assert list(part.read()) == images[2:33]
        Image.open(io.BytesIO(images[0])).load()


def test_an_archive_that_shrinks_after_it_was_opened_gives_reasons(archives):
    train = open_source(archives).splits["train"]
    (archives / TRAIN).write_bytes((archives / TRAIN).read_bytes()[:5000])
    *_, last = train.part(0, 60).read()
    assert re.match(r"the archive ends after 0 of its [\d,]+ bytes", last)


def test_the_order_is_that_of_the_names_in_whatever_order_they_were_packed(archives):
    def repack(files):
        for name, data in sorted(files.items(), reverse=True):
            content = io.BytesIO()
            with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
                folder = tarfile.TarInfo("./")
                folder.type = tarfile.DIRTYPE
                archive.addfile(folder)
                for file, image in sorted(files_of(data).items(), reverse=True):
                    info = tarfile.TarInfo(f"./{file}")
                    info.size, info.mtime = len(image), 1.5  # a fraction of a second needs a header of its own
                    archive.addfile(info, io.BytesIO(image))
            del files[name]
            files[f"./{name}"] = content.getvalue()

    before = {split: all_of(photographs) for split, photographs in open_source(archives).splits.items()}
    change(archives / TRAIN, repack)
    after = {split: all_of(photographs) for split, photographs in open_source(archives).splits.items()}
    assert after == before


def append(path, name, data=b""):
    """Add a member, its name given or not."""
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda root: (root / VAL).unlink(), f"{VAL} is missing, the archive of the validation images; put it beside the other"),
        (lambda root: (root / TRAIN).unlink(), f"{TRAIN} is missing, the archive of the training images; put it beside the other"),
        (
            lambda root: (root / f"{DEVKIT}.tar.gz").unlink(),
            f"{DEVKIT}.tar.gz is missing; the labels of the validation images are in it; put it beside the archives",
        ),
        (lambda root: (root / TRAIN).write_bytes((root / VAL).read_bytes()), f"{TRAIN}: it holds 'ILSVRC2012_val_00000001.JPEG', where"),
        (lambda root: (root / VAL).write_bytes((root / TRAIN).read_bytes()), f"{VAL}: it holds 'n01440764.tar', where ILSVRC has only"),
        (lambda root: (root / TRAIN).write_bytes(tar_of({})), f"{TRAIN}: it is empty, but should hold files like n01440764.tar"),
        (lambda root: (root / VAL).write_bytes(tar_of({})), f"{VAL}: it is empty, but should hold files like ILSVRC2012_val_00000001.JPEG"),
        (lambda root: (root / TRAIN).write_bytes(tar_of(files_of(root / TRAIN), "w:gz")), f"{TRAIN}: it is compressed (gzip); decompress"),
        (lambda root: (root / VAL).write_bytes((root / VAL).read_bytes()[:9000]), f"{VAL}: it ends within 'ILSVRC2012_val_0000"),
        (lambda root: (root / TRAIN).write_bytes((root / TRAIN).read_bytes()[:60_000]), f"{TRAIN}: it ends within 'n01440"),
        (lambda root: append(root / TRAIN, FIRST, tar_of({})), f"{TRAIN}: it holds n01440764.tar twice; download it again"),
        (lambda root: append(root / VAL, val_name(0)), f"{VAL}: it holds {val_name(0)} twice; download it again"),
        (lambda root: append(root / TRAIN, "../n01440764.tar"), f"{TRAIN}: its member '../n01440764.tar' points outside of it"),
        (
            lambda root: change(root / TRAIN, lambda files: files.update({FIRST: files[FIRST][:5000]})),
            f"{TRAIN}: n01440764.tar: cut short or damaged after 'n01440764_",
        ),
        (
            lambda root: change(root / TRAIN, lambda files: files.update({FIRST: tar_of(files_of(files[FIRST]), "w:gz")})),
            f"{TRAIN}: n01440764.tar: it is compressed (gzip); decompress it",
        ),
        (lambda root: change_class(root, dict.clear), f"{TRAIN}: n01440764.tar: it is empty, but should hold files like n01440764_1.JPEG"),
        (
            lambda root: change_class(root, lambda files: files.update({"._n01440764_0.JPEG": b""})),
            "n01440764.tar: it holds '._n01440764_0",
        ),
        (
            lambda root: change_class(root, lambda files: files.update({"n01440801_7.JPEG": b""})),
            "n01440764.tar: it holds 'n01440801_7.JPEG', where ILSVRC has only files like n01440764_1.JPEG; download it as it is published",
        ),
        (lambda root: change(root / TRAIN, lambda files: files.pop(LAST)), f"{TRAIN}: 1 of 20 classes are missing, such as n01441467"),
        (
            lambda root: append(root / TRAIN, "n99999999.tar", tar_of({"n99999999_1.JPEG": b""})),
            f"{TRAIN}: class n99999999 is not in {DEVKIT}.tar.gz; both must be of ILSVRC 2012, tasks 1 and 2",
        ),
        (
            lambda root: change(root / VAL, lambda files: files.pop(val_name(6))),
            f"{VAL}: its 39 images are not the 40 of the ground truth in {DEVKIT}.tar.gz: {val_name(6)} is missing; download",
        ),
        (lambda root: append(root / VAL, val_name(40)), f"{VAL}: its 41 images are not the 40 of the ground truth"),
        (lambda root: append(root / VAL, val_name(40)), f"{val_name(40)} is not among those; download the images and the development kit"),
    ],
)
def test_refusals(archives, broken, message):
    broken(archives)
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        open_source(archives)
    assert "\n" not in str(caught.value)


def test_the_archives_of_the_dogs_are_ignored(archives):
    for name in ("ILSVRC2012_img_train_t3.tar", "ILSVRC2012_devkit_t3.tar.gz"):
        (archives / name).write_bytes(b"not read")
    assert len(open_source(archives).splits["train"]) == 60
