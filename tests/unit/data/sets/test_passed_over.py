"""What lies with the images of any kind of source and is not read is counted and named: once, and wherever the set is opened."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dist_alexnet.data.images import passed_over
from dist_alexnet.data.sets.open import open_data
from dist_alexnet.data.sources.open import open_source
from tests.unit.data.sources.hub_files import build_hub
from tests.unit.data.sources.ilsvrc_archives import build_archives


def archives(folder: Path) -> str:
    build_archives(folder, classes=3, train_per_class=1, val=3)
    return "ILSVRC2012_img_test.tar"


def hub(folder: Path) -> str:
    build_hub(folder, "stream", 5, 5)
    return "imagenet-1k-test-00000-of-00001.arrow"


def flat_validation(folder: Path) -> str:
    build_archives(folder, classes=3, train_per_class=1, val=3)
    for split, name in (("train", "ILSVRC2012_img_train.tar"), ("val", "ILSVRC2012_img_val.tar")):
        shutil.unpack_archive(folder / name, folder / split)
        (folder / name).unlink()
    for archive in (folder / "train").iterdir():
        shutil.unpack_archive(archive, archive.with_suffix(""))
        archive.unlink()
    return "val/more.gif"


@pytest.mark.parametrize("kind", [archives, hub, flat_validation])
def test_beside_photographs(kind: Callable[[Path], str], tmp_path: Path) -> None:
    name = kind(tmp_path)
    (tmp_path / name).touch()
    (tmp_path / "notes.md").touch()
    (tmp_path / "._hidden.tar").touch()
    line = f"1 file(s) passed over, the first: {tmp_path / name}"
    assert passed_over(*open_data(tmp_path)) == [line]
    assert str(open_source(tmp_path).passed_over) == line


def test_beside_shards(prepared: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(prepared, tmp_path / "set")
    assert passed_over(*open_data(copy)) == []
    (copy / "val" / "00009.arrow").touch()
    (copy / "val" / "1.jpg").touch()
    assert passed_over(*open_data(copy)) == [f"2 file(s) passed over, the first: {copy}/val/00009.arrow"]
