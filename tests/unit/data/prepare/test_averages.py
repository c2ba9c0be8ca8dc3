"""Statistics of a data set: the same numbers however it is stored, kept where training finds them."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from dist_alexnet.config import DataConfig, UsageError
from dist_alexnet.data.load.crops import Crops
from dist_alexnet.data.prepare.averages import compute
from dist_alexnet.data.prepare.check import check_set
from dist_alexnet.data.prepare.photograph import Storage
from dist_alexnet.data.prepare.prepare import prepare
from dist_alexnet.data.sets.open import open_data, open_split
from dist_alexnet.data.statistics import IMAGENET, Statistics, write_statistics

STORE, SIZE = 64, 48


def statistics(path: Path, workers: int = 1) -> Statistics:
    seen: list[tuple[int, int]] = []
    found, bad = compute(path, STORE, workers, lambda done, total: seen.append((done, total)))
    assert bad == []
    assert seen[-1] == (24, 24)
    return found


def assert_same(one: Statistics, other: Statistics | None, **tolerance: float) -> None:
    assert other is not None
    assert one.images == other.images
    for name in ("mean", "stdevs", "mean_image"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), **tolerance)
    covariances = [np.array(each.eigenvectors) * np.square(each.stdevs) @ np.array(each.eigenvectors).T for each in (one, other)]
    np.testing.assert_allclose(*covariances, rtol=1e-9, atol=100 * tolerance.get("atol", 0))


@pytest.mark.parametrize("workers", [1, 2])
def test_photographs_give_what_preparing_them_gives(photographs: Path, prepared: Path, workers: int) -> None:
    assert_same(statistics(photographs, workers), open_split(prepared, "train").statistics, rtol=0)


def test_originals_and_pixels_give_the_same(photographs: Path, raw: Path, tmp_path: Path) -> None:
    prepare(photographs, tmp_path / "originals", Storage("original", None), shard_images=7, workers=1)
    assert_same(statistics(tmp_path / "originals"), statistics(photographs), rtol=0)
    assert_same(statistics(raw), statistics(photographs), rtol=0)


def test_squares_as_jpeg_give_nearly_the_same(photographs: Path, prepared: Path) -> None:
    assert_same(statistics(prepared), statistics(photographs), rtol=0, atol=12)  # of a pixel over 24 images of noise; quality 95


def test_stored_beside_photographs_they_are_what_training_subtracts(photographs: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(photographs, tmp_path / "set")
    found = statistics(copy)
    write_statistics(copy, found)
    assert_same(found, open_split(copy, "val").statistics, rtol=0)
    crops = Crops.of(DataConfig(store_size=STORE, subtract="pixel"), open_split(copy, "train"), SIZE)
    np.testing.assert_array_equal(crops.mean, found.mean_image[8:-8, 8:-8])  # type: ignore[index]
    for settings in (DataConfig(store_size=STORE, statistics="authors"), DataConfig(store_size=STORE, mean=IMAGENET.mean)):
        np.testing.assert_array_equal(Crops.of(settings, open_split(copy, "train"), SIZE).mean[0, 0], np.float32(IMAGENET.mean))
    message = "data.store_size=80, but the mean image is of squares of 64 pixels; compute it again with"
    with pytest.raises(UsageError, match=re.escape(message)):
        Crops.of(DataConfig(store_size=80), open_split(copy, "train"), SIZE)


def test_a_prepared_set_that_has_lost_them_is_not_trained_with_others(prepared: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(prepared, tmp_path / "set")
    (copy / "statistics.json").unlink()
    with pytest.raises(UsageError, match="the statistics of this prepared set are gone; compute them again with"):
        Crops.of(DataConfig(store_size=STORE), open_split(copy, "train"), SIZE)
    assert "its statistics are gone" in check_set(copy, 1).faults[0]
    assert Crops.of(DataConfig(store_size=STORE, statistics="authors"), open_split(copy, "train"), SIZE).mean.shape == (1, 1, 3)


def test_photographs_that_do_not_decode_are_left_out_by_name(photographs: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(photographs, tmp_path / "set")
    first, second = (open_split(copy, "train").path(index) for index in (3, 20))  # type: ignore[attr-defined]
    first.write_bytes(b"")
    second.write_bytes(second.read_bytes()[:300])
    found, bad = compute(copy, STORE, 1, lambda done, total: None)
    assert found.images == 22
    assert [line.partition(": ")[0] for line in bad] == [str(first), str(second)]
    assert bad[0].endswith("it has zero bytes")


def test_statistics_of_other_images_are_refused(photographs: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(photographs, tmp_path / "set")
    first, second = (open_split(copy, "train").path(index) for index in (3, 20))  # type: ignore[attr-defined]
    first.write_bytes(b"")
    write_statistics(copy, compute(copy, STORE, 1, lambda done, total: None)[0])
    open_data(copy)  # one of its images was left out of them
    second.unlink()
    with pytest.raises(UsageError, match="its statistics are of 24 training images, but it has 23; type .* --recompute --store"):
        open_data(copy)


def test_nothing_but_noise(tmp_path: Path) -> None:
    for name in ("train/cat/1.png", "train/dog/1.png", "val/cat/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("not an image")
    with pytest.raises(UsageError, match="none of its training images decodes, such as .*cannot identify image"):
        compute(tmp_path, STORE, 1, lambda done, total: None)
