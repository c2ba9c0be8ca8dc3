"""Squares stored as pixels give what the same squares give through a decoder, whether threads read them or a device keeps them."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from dist_alexnet.config import AugmentConfig, DataConfig, UsageError
from dist_alexnet.data.load.healing import HealingReader
from dist_alexnet.data.load.loader import Loader
from dist_alexnet.data.load.resident import ResidentSet
from dist_alexnet.data.order.augment import IMAGENET, ten_views
from dist_alexnet.data.order.plan import train_plans
from dist_alexnet.data.sets.open import open_split

STORE, SIZE, SEED, CPU = 64, 48, 5, torch.device("cpu")
AUGMENT = AugmentConfig(color="code")


def loader(path: Path, split: str = "train", **config: object) -> Loader:
    settings = {"store_size": STORE, "augment": AUGMENT, "subtract": "channel", "mean": [10, 20, 30], "statistics": "authors", **config}
    return Loader(open_split(path, split), DataConfig(**settings), SIZE, CPU, SEED)


def take(path: Path, **config: object) -> list[torch.Tensor]:
    return [batch.images for batch in itertools.islice(loader(path, **config).train_batches(12, slice(0, 12), 30), 5)]


@pytest.mark.parametrize("threads", [1, 4])
def test_pixels_and_originals_give_what_the_folder_gives(lossless: Path, pixels: Path, originals: Path, threads: int) -> None:
    expected = take(lossless)
    for path in (pixels, originals):
        for ours, theirs in zip(take(path, threads=threads), expected, strict=True):
            assert torch.equal(ours, theirs)


def test_a_resident_set_gives_the_same(pixels: Path) -> None:
    mine = loader(pixels)
    reader = HealingReader(mine.images, exchange=True, max_bad=0)
    resident = ResidentSet(reader, mine.crops, CPU)
    plans = train_plans(mine.config, len(mine.images), SEED, 12, slice(0, 12), 30, STORE - SIZE, IMAGENET)
    batches = mine.train_batches(12, slice(0, 12), 30)
    for (plan, (crops,)), batch in zip(resident.run(reader, itertools.islice(plans, 5)), batches, strict=False):
        torch.testing.assert_close(crops.permute(0, 3, 1, 2), batch.images, rtol=0, atol=1e-4)
        assert plan.labels.tolist() == batch.labels.tolist()


def test_a_resident_set_is_refused_where_it_cannot_be(pixels: Path, originals: Path) -> None:
    with pytest.raises(UsageError, match="data.cache=gpu keeps the images in the memory of a GPU; type --device cuda"):
        loader(pixels, cache="gpu")
    files = loader(originals)
    with pytest.raises(UsageError, match="this set holds files; run `dist-alexnet data prepare --encoding raw`"):
        ResidentSet(HealingReader(files.images, True, 0), files.crops, CPU)


def test_the_mean_of_each_pixel_is_that_of_the_central_crop(pixels: Path) -> None:
    images = open_split(pixels, "train")
    stored = np.stack([images.encoded(index) for index in range(len(images))]).astype(np.float64)
    np.testing.assert_allclose(images.statistics.mean_image, stored.mean(axis=0), atol=1e-4)
    colors = stored.reshape(-1, 3)
    statistics = images.statistics
    np.testing.assert_allclose(statistics.mean, colors.mean(axis=0))
    vectors = np.array(statistics.eigenvectors)
    np.testing.assert_allclose(vectors @ np.diag(np.square(statistics.stdevs)) @ vectors.T, np.cov(colors.T, bias=True))
    still = AugmentConfig(color="code", color_std=0)
    whole, without = (
        next(loader(pixels, statistics="own", augment=still, **how).train_batches(12, slice(0, 12), 0)).images
        for how in ({"mean": None, "subtract": "pixel"}, {"mean": [0, 0, 0]})
    )
    middle = torch.from_numpy(images.statistics.mean_image[8:-8, 8:-8]).permute(2, 0, 1)
    torch.testing.assert_close(without - middle / np.float32(1.1), whole, rtol=0, atol=1e-3)


@pytest.mark.parametrize("kind", ["pixels", "lossless"])
def test_ten_views_follow_each_other(kind: str, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(kind)
    mine = loader(path, "val", mean=[0, 0, 0])
    batches = list(mine.eval_batches(3, lambda n: slice(0, n), views=10))
    assert [batch.rows.tolist() for batch in batches] == [[0, 1, 2]] * 10 + [[0, 1]] * 10
    stored = open_split(request.getfixturevalue("pixels"), "val")
    for number, batch in enumerate(batches):
        view = ten_views(1, STORE - SIZE)[number % 10]
        y, x = view.crop_y[0], view.crop_x[0]
        for row in range(len(batch.rows)):
            crop = stored.encoded(3 * (number // 10) + row)[y : y + SIZE, x : x + SIZE]
            expected = crop[:, ::-1] if view.mirror[0] else crop
            np.testing.assert_array_equal(batch.images[row].permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize(("dtype", "layout"), [("bfloat16", "NHWC"), ("float16", "NCHW")])
def test_batches_have_the_type_and_layout_that_are_asked_for(pixels: Path, dtype: str, layout: str) -> None:
    images = take(pixels, dtype=dtype, layout=layout)[0]
    assert images.dtype == getattr(torch, dtype)
    assert images.is_contiguous(memory_format=torch.channels_last if layout == "NHWC" else torch.contiguous_format)
