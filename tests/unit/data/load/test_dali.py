"""The pipeline against PIL and numpy, and its independence of ranks, threads and restarts."""

import io
import itertools
import os
import re
import time

import numpy as np
import pytest
import torch
from PIL import Image

from dist_alexnet.config import AugmentConfig, DataConfig, UsageError
from dist_alexnet.data.load.loader import Loader
from dist_alexnet.data.order.augment import IMAGENET, draw
from dist_alexnet.data.order.sampler import Sampler
from dist_alexnet.data.sets.open import open_split

CPU = torch.device("cpu")
STORE, SIZE, SEED = 64, 48, 11


def loader(path, split="train", size=SIZE, **config):
    return Loader(open_split(path, split), DataConfig(store_size=STORE, **config), size, CPU, SEED)


def take(batches, n):
    taken = list(itertools.islice(batches, n))
    batches.close()
    return taken


def joined(batches_of_ranks):
    """The batches of a step, of all ranks, put together by row."""
    rows = torch.cat([batch.rows for batch in batches_of_ranks])
    images = torch.cat([batch.images for batch in batches_of_ranks])
    labels = torch.cat([batch.labels for batch in batches_of_ranks])
    assert sorted(rows.tolist()) == list(range(len(rows)))
    return images[rows.argsort()], labels[rows.argsort()]


@pytest.mark.parametrize("size", [47, 48, 63, 64])
@pytest.mark.parametrize("color", ["off", "paper", "code"])
def test_crop_mirror_noise_and_mean_are_exact(lossless, size, color):
    augment = AugmentConfig(color=color)
    batch = take(loader(lossless, size=size, augment=augment, std=2.0, mean=[10, 20, 30.5]).train_batches(80, slice(0, 80), 240), 1)[0]
    positions = np.arange(240, 320)
    indices = Sampler(40, SEED, shuffle=True).indices(240, 320)
    drawn = draw(augment, SEED, positions, 40, STORE - size)
    images = open_split(lossless, "train")
    for row, index in enumerate(indices):
        y, x = drawn.crop_y[row], drawn.crop_x[row]
        pixels = np.asarray(Image.open(images.path(index)))[y : y + size, x : x + size].astype(np.float64)
        pixels = pixels[:, ::-1] if drawn.mirror[row] else pixels
        expected = (pixels - [10, 20, 30.5] + drawn.color[row]) / (2.2 if color == "code" else 2.0)
        np.testing.assert_allclose(batch.images[row].permute(1, 2, 0), expected, atol=1e-4)
        assert batch.labels[row] == images.labels[index]


def test_batch_is_channels_last_float32(prepared):
    (batch,) = take(loader(prepared).train_batches(8, slice(2, 5), 0), 1)
    assert batch.images.shape == (3, 3, SIZE, SIZE)
    assert batch.images.dtype == torch.float32
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert batch.rows.tolist() == [2, 3, 4]
    assert batch.labels.dtype == batch.rows.dtype == torch.int64
    assert batch.global_batch == 8


def test_jpegs_decode_like_pillow(prepared):
    for split in ("train", "val"):
        images = open_split(prepared, split)
        batches = take(loader(prepared, split, size=STORE, mean=[0, 0, 0]).eval_batches(5, lambda n: slice(0, n)), 9)
        decoded = torch.cat([batch.images for batch in batches]).permute(0, 2, 3, 1).numpy()
        for index, pixels in enumerate(decoded):
            reference = np.asarray(Image.open(io.BytesIO(images.encoded(index))))
            assert abs(pixels - reference).mean() < 2


def test_photographs_are_scaled_as_when_they_are_prepared(photographs, prepared):
    of_photographs, of_shards = (
        take(loader(path, "val", size=STORE, mean=[0, 0, 0]).eval_batches(10, lambda n: slice(0, n)), 1)[0].images
        for path in (photographs, prepared)
    )
    difference = (of_photographs - of_shards).abs().mean(dim=(1, 2, 3))
    assert difference.max() < 4  # what JPEG loses of the drawn noise; one pixel of displacement gives 8


@pytest.mark.parametrize("ranks", [[(0, 12)], [(0, 6), (6, 12)], [(0, 5), (5, 10), (10, 12)], [(0, 3), (3, 6), (6, 6), (6, 12)]])
def test_ranks_together_load_what_one_rank_loads(prepared, ranks):
    config = {"augment": AugmentConfig(color="paper")}
    whole = take(loader(prepared, **config).train_batches(12, slice(0, 12), 0), 5)
    parts = [take(loader(prepared, **config).train_batches(12, slice(*rows), 0), 5) for rows in ranks]
    for step, batch in enumerate(whole):
        images, labels = joined([part[step] for part in parts])
        assert torch.equal(images, batch.images)
        assert torch.equal(labels, batch.labels)


def test_decoder_threads_and_restarts_change_nothing(photographs):
    whole = take(loader(photographs, threads=1).train_batches(10, slice(0, 10), 0), 6)
    restarted = take(loader(photographs, threads=3, prefetch=1).train_batches(10, slice(0, 10), 20), 4)
    for ours, theirs in zip(whole[2:], restarted, strict=True):
        assert torch.equal(ours.images, theirs.images)
        assert torch.equal(ours.labels, theirs.labels)


def test_batches_that_are_kept_are_not_overwritten(prepared):
    batches = loader(prepared).train_batches(8, slice(0, 8), 0)
    kept = [(batch, batch.images.clone()) for batch in itertools.islice(batches, 12)]
    batches.close()
    assert all(torch.equal(batch.images, copy) for batch, copy in kept)


@pytest.mark.parametrize("ranks", [1, 3, 4])
def test_evaluation_counts_every_image_once(prepared, ranks):
    def rows_of(rank):
        return lambda n: slice(n * rank // ranks, n * (rank + 1) // ranks)

    parts = [list(loader(prepared, "val").eval_batches(4, rows_of(rank))) for rank in range(ranks)]
    assert [[batch.global_batch for batch in part] for part in parts] == [[4, 4, 2]] * ranks
    images = open_split(prepared, "val")
    labels = torch.cat([joined([part[step] for part in parts])[1] for step in range(3)])
    assert labels.tolist() == [images.label(index) for index in range(len(images))]
    if ranks > 2:
        assert min(len(part[-1].labels) for part in parts) == 0


def test_the_mean_is_the_configured_or_the_sets_or_imagenets(photographs, prepared):
    images = open_split(prepared, "train")
    assert loader(prepared, mean=[1, 2, 3]).crops.mean.tolist() == [[[1, 2, 3]]]
    np.testing.assert_allclose(loader(prepared, subtract="channel").crops.mean[0, 0], images.statistics.mean, rtol=1e-6)
    for chosen in ({}, {"subtract": "pixel"}):
        np.testing.assert_array_equal(loader(prepared, **chosen).crops.mean, images.statistics.mean_image[8:-8, 8:-8])
    for path, chosen in ((photographs, {}), (prepared, {"statistics": "authors"})):
        np.testing.assert_allclose(loader(path, **chosen).crops.mean[0, 0], IMAGENET.mean, rtol=1e-6)
    for path, chosen in ((photographs, {}), (prepared, {"statistics": "authors"})):
        with pytest.raises(UsageError, match="data.subtract=pixel needs the set's own mean image"):
            loader(path, subtract="pixel", **chosen)


@pytest.mark.parametrize(
    ("store", "size", "message"),
    [
        (256, 48, "data.store_size=256, but the shards hold images of 64 pixels; set data.store_size=64"),
        (64, 65, "model.image_size=65 cannot be cropped from squares of 64 pixels; type model.image_size=64 or less"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(prepared, store, size, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        Loader(open_split(prepared, "train"), DataConfig(store_size=store), size, CPU, SEED)


def test_closing_releases_the_threads(prepared):
    take(loader(prepared).train_batches(8, slice(0, 8), 0), 1)  # threads that DALI starts once and keeps
    before = len(os.listdir("/proc/self/task"))
    for _ in range(3):
        take(loader(prepared, threads=2).train_batches(8, slice(0, 8), 0), 1)
    deadline = time.monotonic() + 5
    while len(os.listdir("/proc/self/task")) > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(os.listdir("/proc/self/task")) <= before
