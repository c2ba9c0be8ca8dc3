import io
import re

import numpy as np
import pytest
from PIL import Image

from dist_alexnet.config import UsageError
from dist_alexnet.data.prepare.photograph import Storage
from dist_alexnet.data.prepare.prepare import prepare
from dist_alexnet.data.sets.open import open_data


@pytest.fixture
def odd_files(tmp_path):
    """One image of each kind that ImageNet is known to hold, and two that do not decode."""
    rng = np.random.default_rng(0)
    color, grey = rng.integers(0, 256, (50, 80, 3), np.uint8), rng.integers(0, 256, (90, 40), np.uint8)
    for split in ("train", "val"):
        folder = tmp_path / "odd" / split / "things"
        folder.mkdir(parents=True)
        Image.fromarray(color).convert("CMYK").save(folder / "cmyk.jpg")
        Image.fromarray(grey).save(folder / "grey.JPEG")
        Image.fromarray(color).save(folder / "palette.png")
        Image.fromarray(color).save(folder / "png-in-disguise.jpg", "PNG")
        (folder / "text.jpg").write_text("no image")
        (folder / "truncated.jpg").write_bytes((folder / "cmyk.jpg").read_bytes()[:700])
    return tmp_path / "odd"


def test_the_bytes_do_not_depend_on_the_number_of_workers(photographs, prepared, tmp_path):
    seen = []
    prepare(photographs, tmp_path / "set", Storage(size=64), shard_images=7, workers=2, tell=lambda done, total: seen.append((done, total)))
    files = sorted(path.relative_to(prepared) for path in prepared.rglob("*.*"))
    shards = [*(f"train/{n:05d}.arrow" for n in range(4)), "val/00000.arrow", "val/00001.arrow"]
    assert [str(file) for file in files] == ["dataset.json", "mean_image.npy", "statistics.json", *shards]
    for file in files:
        assert (tmp_path / "set" / file).read_bytes() == (prepared / file).read_bytes()
    assert seen[7:9] == [(34, None), (0, 34)], "of the classes of training and validation, then of what is done"
    seen = seen[8:]
    assert seen[-1] == (34, 34)
    assert seen == sorted(seen)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_odd_files_become_rgb_squares_and_broken_ones_are_listed(odd_files, tmp_path):
    report = prepare(odd_files, tmp_path / "set", Storage(size=32), workers=1)
    assert report.images == {"train": 4, "val": 4}
    assert [file for file, _ in report.quarantine] == [
        f"{split}/things/{name}.jpg" for split in ("train", "val") for name in ("text", "truncated")
    ]
    listed = (tmp_path / "set" / "quarantine.csv").read_text().splitlines()
    assert listed[0] == "file,reason"
    assert listed[1].startswith("train/things/text.jpg,UnidentifiedImageError: cannot identify image")
    assert listed[2].startswith("train/things/truncated.jpg,OSError: ")
    for images in open_data(tmp_path / "set"):
        for index in range(len(images)):
            stored = Image.open(io.BytesIO(images.encoded(index)))
            assert (stored.size, stored.mode, stored.format) == ((32, 32), "RGB", "JPEG")


def test_scaling_the_center_and_the_mean(tmp_path):
    for split in ("train", "val"):
        pixels = np.full((100, 300, 3), (200, 100, 50), np.uint8)
        pixels[:, :90] = pixels[:, -90:] = 0  # outside of the central square
        (tmp_path / "src" / split / "a").mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "src" / split / "a" / "wide.png")
    prepare(tmp_path / "src", tmp_path / "set", Storage(size=50), workers=1)
    for images in open_data(tmp_path / "set"):
        assert images.statistics.mean == [200, 100, 50]
        assert (images.statistics.mean_image == [200, 100, 50]).all()
        stored = np.asarray(Image.open(io.BytesIO(images.encoded(0)))).astype(int)
        assert stored.shape == (50, 50, 3)
        assert abs(stored - [200, 100, 50]).max() <= 2


def test_refusals(photographs, prepared, odd_files, tmp_path):
    with pytest.raises(UsageError, match=re.escape(f"{photographs}: it exists and is not empty; name a new folder")):
        prepare(photographs, photographs)
    with pytest.raises(UsageError, match=re.escape(f"{prepared}: it is complete already; look at it with `dist-alexnet data verify")):
        prepare(photographs, prepared)
    with pytest.raises(UsageError, match="it holds shards already; name the folder of the photographs"):
        prepare(prepared, tmp_path / "set")
    for path in (odd_files / "train" / "things").iterdir():
        path.write_text("broken")
    with pytest.raises(UsageError, match=r"train: none of its images decodes, such as train/things/truncated.jpg UnidentifiedImageError"):
        prepare(odd_files, tmp_path / "set", workers=1)


@pytest.mark.parametrize("kind", ["volume", "link", "."])
def test_a_target_that_exists_stays_the_folder_that_it_is(photographs, prepared, tmp_path, monkeypatch, kind):
    place, target = tmp_path / "place", tmp_path / "place"
    place.mkdir()
    if kind == "volume":
        (place / "lost+found").mkdir()
    elif kind == "link":
        target = tmp_path / "link"
        target.symlink_to(place)
    else:
        monkeypatch.chdir(place)
        target = "."
    before = place.stat().st_ino
    prepare(photographs, target, Storage(size=64), shard_images=7, workers=1)
    assert place.stat().st_ino == before, "nothing can be renamed to a mount point"
    assert sorted(path.name for path in place.iterdir() if path.name != "lost+found") == sorted(path.name for path in prepared.iterdir())
    assert (place / "dataset.json").read_bytes() == (prepared / "dataset.json").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"place", *(["link"] if kind == "link" else [])}
