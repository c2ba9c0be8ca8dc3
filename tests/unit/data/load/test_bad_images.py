"""Images that cannot be read or decoded when it comes to it: named, exchanged or left out, and only too many are the end."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from dist_alexnet.config import AugmentConfig, DataConfig, UsageError
from dist_alexnet.data.images import TooManyBadImages
from dist_alexnet.data.load.loader import Loader
from dist_alexnet.data.order.plan import NOT_COUNTED
from dist_alexnet.data.sets.open import open_split

STORE, SIZE = 64, 48
STILL = AugmentConfig(crop=False, mirror=False)


def loader(path: Path, split: str = "train", **config: object) -> Loader:
    settings = {"store_size": STORE, "order": "file", "augment": STILL, "max_bad": 3, **config}
    return Loader(open_split(path, split), DataConfig(**settings), SIZE, torch.device("cpu"), 0)


def zero(path: Path, split: str, *indices: int) -> None:
    """Overwrite the beginnings of these images in their shards."""
    images = open_split(path, split)
    for index in indices:
        shard, row = images.locate(index)
        entry = images.entries[shard]
        with images.paths[shard].open("r+b") as file:
            file.seek(entry.offsets + 8 * row)
            start = int(np.frombuffer(file.read(8), np.int64)[0])
            file.seek(entry.content + start)
            file.write(bytes(64))


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_a_bad_image_is_named_and_the_next_one_takes_its_place(prepared: Path, tmp_path: Path, ranks: int) -> None:
    copy = shutil.copytree(prepared, tmp_path / "set")
    zero(copy, "train", 4, 9, 10)
    images, labels, bad = [], [], []
    for rank in range(ranks):
        mine = loader(copy)
        rows = slice(12 * rank // ranks, 12 * (rank + 1) // ranks)
        batches = list(itertools.islice(mine.train_batches(12, rows, 0), 4))  # two epochs: what is known is not tried again
        images.append(torch.stack([batch.images for batch in batches]))
        labels.append(torch.stack([batch.labels for batch in batches]))
        bad += mine.bad
    (first, *_) = itertools.islice(loader(prepared).train_batches(24, slice(0, 24), 0), 1)
    expected = [index + {4: 1, 9: 2, 10: 1}.get(index, 0) for index in range(24)] * 2
    assert torch.equal(torch.cat(images, 1).flatten(0, 1), first.images[expected])
    assert torch.equal(torch.cat(labels, 1).flatten(), first.labels[expected])
    assert len(set(bad)) == 3
    assert all("row" in name and ".jpg): it does not decode" in name for name in bad)


def test_one_too_many_is_the_end(prepared: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(prepared, tmp_path / "set")
    zero(copy, "train", 1, 2, 3)
    message = r"00000.arrow row \d \(.*\.jpg\): it does not decode; 3 images are bad, and data.max_bad=2: run `dist-alexnet data verify`"
    with pytest.raises(TooManyBadImages, match=message):
        next(loader(copy, max_bad=2).train_batches(12, slice(0, 12), 0))


def test_an_evaluation_leaves_it_out(prepared: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(prepared, tmp_path / "set")
    zero(copy, "val", 3)
    mine = loader(copy, "val")
    labels = torch.cat([batch.labels for batch in mine.eval_batches(4, lambda n: slice(0, n))]).tolist()
    assert [index for index, label in enumerate(labels) if label == NOT_COUNTED] == [3]
    assert len(mine.bad) == 1


@pytest.mark.parametrize("how", ["vanishes", "is cut short"])
def test_files_that_go_bad_after_the_start(photographs: Path, tmp_path: Path, how: str) -> None:
    copy = shutil.copytree(photographs, tmp_path / "set")
    mine = loader(copy)
    victim = open_split(copy, "train").path(2)
    if how == "vanishes":
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes()[:400])
    batch = next(mine.train_batches(24, slice(0, 24), 0))
    assert torch.equal(batch.images[2], batch.images[3])
    reason = "No such file or directory" if how == "vanishes" else "it does not decode"
    assert mine.bad == [f"{victim}: {reason}"]


def test_a_raw_shard_that_is_cut_short_while_it_is_read(raw: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(raw, tmp_path / "set")
    mine = loader(copy, threads=2)
    path = open_split(copy, "train").paths[3]
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 3 * STORE**2)
    next(mine.train_batches(24, slice(0, 24), 0))
    assert 1 <= len(mine.bad) <= 3
    assert all("00003.arrow" in name and name.endswith("its shard has been cut short") for name in mine.bad)


def test_a_split_of_nothing_but_bad_images_ends_at_once(raw: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(raw, tmp_path / "set")
    train = open_split(copy, "train")
    for path, entry in zip(train.paths, train.entries, strict=True):
        with path.open("r+b") as file:
            file.seek(entry.labels)
            file.write(np.full(entry.images, 99, np.int32).tobytes())
    with pytest.raises(UsageError, match=r"00000.arrow row 0 \(.*\), and not one other image can be read or decoded; run"):
        next(loader(copy, threads=1, max_bad=100).train_batches(48, slice(0, 48), 0))
