"""Training and evaluating on what was downloaded, without preparing it."""

import itertools
import pickle
import re
from contextlib import closing

import numpy as np
import pytest
import torch

from dist_alexnet.config import AugmentConfig, DataConfig, UsageError
from dist_alexnet.data.images import ImageError
from dist_alexnet.data.load.loader import Loader
from dist_alexnet.data.prepare.photograph import Storage
from dist_alexnet.data.prepare.prepare import prepare
from dist_alexnet.data.sets.open import open_data, open_split
from dist_alexnet.data.sources.ilsvrc import VAL
from tests.unit.data.sources.hub_files import build_hub, edit
from tests.unit.data.sources.ilsvrc_archives import files_of, val_name


def batches(images, split):
    config = DataConfig(store_size=64, augment=AugmentConfig(color="code"))
    loader = Loader(images, config, 48, torch.device("cpu"), 7)
    made = loader.train_batches(12, slice(0, 12), 0) if split == "train" else loader.eval_batches(12, lambda n: slice(0, n))
    with closing(made):
        return [(batch.images, batch.labels) for batch in itertools.islice(made, 8)]


@pytest.mark.parametrize("kind", ["archives", "stream", "file"])
def test_batches_are_those_of_the_prepared_set(kind, built_archives, tmp_path):
    source = built_archives
    if kind != "archives":
        source = tmp_path / "hub"
        build_hub(source, kind)
    prepare(source, tmp_path / "set", Storage("original", None), workers=1, shard_images=7)
    for split, ours, theirs in zip(("train", "val"), open_data(source), open_data(tmp_path / "set"), strict=True):
        assert (ours.classes, ours.class_names, len(ours)) == (theirs.classes, theirs.class_names, len(theirs))
        again = pickle.loads(pickle.dumps(open_split(source, split)))
        for (images, labels), (expected, expected_labels) in zip(batches(again, split), batches(theirs, split), strict=True):
            assert torch.equal(images, expected)
            assert torch.equal(labels, expected_labels)


def test_an_archive_that_is_cut_short_after_the_start(archives):
    val = open_split(archives, "val")
    last = val_name(39)
    assert val.encoded(39).tobytes() == files_of(archives / VAL)[last]
    with (archives / VAL).open("r+b") as file:
        file.truncate(5000)
    assert val.where(39) == f"{archives}: val/{val.classes[19]}/{last}"
    with pytest.raises(ImageError, match=r"the archive ends after 0 of its [\d,]+ bytes"):
        val.encoded(39)
    (archives / VAL).unlink()
    with pytest.raises(ImageError, match="No such file"):
        val.encoded(0)


def test_a_row_without_an_image_is_a_bad_image(tmp_path):
    build_hub(tmp_path / "hub", "file")
    edit(tmp_path / "hub", "validation", 0, lambda rows: rows[2]["image"].update(bytes=None))
    edit(tmp_path / "hub", "validation", 1, lambda rows: rows[0]["image"].update(bytes=b""))
    val = open_split(tmp_path / "hub", "val")
    with pytest.raises(ImageError, match="holds no bytes of it"):
        val.encoded(2)
    loader = Loader(val, DataConfig(store_size=64), 48, torch.device("cpu"), 0)
    (batch,) = loader.eval_batches(11, lambda n: slice(0, n))
    assert np.flatnonzero(batch.labels.numpy() < 0).tolist() == [2, 6]
    assert [name.rpartition(": ")[2] for name in loader.bad] == [
        "imagenet-1k-validation-00000-of-00002.arrow holds no bytes of it",
        "it does not decode",
    ]


def test_parquet_is_to_be_prepared(tmp_path):
    build_hub(tmp_path, "parquet")
    with pytest.raises(UsageError, match=re.escape(f"run `dist-alexnet data prepare {tmp_path} TARGET`, then type --data TARGET")):
        open_data(tmp_path)


def test_what_lies_beside_class_folders_is_left_alone(photographs, archives):
    (archives / "train").symlink_to(photographs / "train")
    (archives / "val").symlink_to(photographs / "val")
    assert len(open_data(archives)[0]) == 24
