"""A folder that is no data set: what lies there and what to type, in one line, to everybody who opens it."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dist_alexnet.config import UsageError
from dist_alexnet.data.sets.open import open_data
from dist_alexnet.data.sources.open import open_source

OPENED = [open_data, open_source]
Open = Callable[[Path], object]


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def said(opened: Open, folder: Path) -> str:
    with pytest.raises(UsageError) as caught:
        opened(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("opened", OPENED)
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["data-00000-of-00001.arrow", "state.json"], "it holds one split that `save_to_disk` wrote; put it into a folder as train/, and"),
        (
            ["0000.parquet", "0001.parquet"],
            "such as 0000.parquet, whose names say no split; make links to them, named as train-00000",
        ),
        (["a/b/CLS-LOC/train/cat/1.jpg"], "the images lie in {folder}/a/b/CLS-LOC; name that folder"),
        (["default/0.0.0/hash/imagefolder-train.arrow"], "the images lie in {folder}/default/0.0.0/hash; name that folder"),
        (
            ["train-000000.tar", "train-000001.tar"],
            "it holds 2 archives such as train-000000.tar, which cannot be read as they are; unpack",
        ),
        (["imagenet.zip"], "it holds 1 archives such as imagenet.zip, which cannot be read as they are; unpack them, for a data set is"),
        (["cat/1.jpg", "dog/1.jpg"], "it holds folders of images such as cat, but neither train/ nor val/; share the images out to both"),
        (["1.jpg", "2.png"], "images lie in it directly; move each into a folder of its class, for a data set is a folder with train/"),
    ],
)
def test_what_lies_there(opened: Open, names: list[str], message: str, tmp_path: Path) -> None:
    make(tmp_path, *names)
    assert message.format(folder=tmp_path) in said(opened, tmp_path)


@pytest.mark.parametrize("opened", OPENED)
def test_one_split_of_a_data_set(opened: Open, photographs: Path) -> None:
    assert said(opened, photographs / "train").endswith(f": it is a part of {photographs}; name that folder")


@pytest.mark.parametrize("opened", OPENED)
def test_the_training_archive_unpacked_once(opened: Open, built_archives: Path, tmp_path: Path) -> None:
    """What is to be typed does what it says."""
    folder = tmp_path / "it's here"
    folder.mkdir()
    subprocess.run(["tar", "-xf", built_archives / "ILSVRC2012_img_train.tar", "-C", folder], check=True)
    line = said(opened, folder)
    assert "it holds 20 archives of classes such as n01440764.tar: the training archive, unpacked once; type `" in line
    (command,) = re.findall("`(.*)`", line)
    subprocess.run(["sh", "-c", command], check=True)
    (folder / "val").symlink_to("train")
    assert len(open_data(folder)[0]) == 60


def test_a_folder_below_that_nobody_may_read_hides_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "closed/1.txt", "open/set/train/cat/1.jpg")
    original = Path.iterdir

    def refuse(folder: Path) -> object:
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied", str(folder))
        return original(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)  # root, who may run this, reads everything
    monkeypatch.setattr("os.access", lambda path, mode: Path(path).name != "closed")
    assert f"the images lie in {tmp_path}/open/set; name that folder" in said(open_source, tmp_path)
