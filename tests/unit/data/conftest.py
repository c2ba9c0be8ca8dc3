from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dist_alexnet.config import SynthConfig
from dist_alexnet.data.prepare.photograph import Storage
from dist_alexnet.data.prepare.prepare import prepare
from dist_alexnet.data.synth.synth import write

STORE = 64  # pixels, side of the stored squares in these tests


@pytest.fixture(scope="session")
def photographs(tmp_path_factory) -> Path:
    """Generated JPEGs of many sizes, some grey-scale: 24 to train on, 10 to validate on, 4 classes."""
    target = tmp_path_factory.mktemp("photographs") / "set"
    write(target, SynthConfig(classes=4, train=24, val=10, seed=3))
    return target


@pytest.fixture(scope="session")
def prepared(photographs, tmp_path_factory) -> Path:
    """The same images as shards of 7."""
    target = tmp_path_factory.mktemp("prepared") / "set"
    prepare(photographs, target, Storage(size=STORE), shard_images=7, workers=1)
    return target


@pytest.fixture(scope="session")
def raw(photographs, tmp_path_factory) -> Path:
    """The same images as shards of pixels."""
    target = tmp_path_factory.mktemp("raw") / "set"
    prepare(photographs, target, Storage("raw", STORE), shard_images=7, workers=1)
    return target


@pytest.fixture(scope="session")
def lossless(tmp_path_factory) -> Path:
    """Squares of random pixels as PNG, so that every pixel that comes out of the pipeline can be told."""
    target = tmp_path_factory.mktemp("lossless") / "set"
    rng = np.random.default_rng(0)
    for split, images in {"train": 40, "val": 5}.items():
        for index in range(images):
            folder = target / split / f"class{index % 2}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (STORE, STORE, 3), np.uint8)).save(folder / f"{index:02d}.png")
    return target


@pytest.fixture(scope="session")
def originals(lossless, tmp_path_factory) -> Path:
    """Those files as shards, kept as they are."""
    target = tmp_path_factory.mktemp("originals") / "set"
    prepare(lossless, target, Storage("original", None), workers=1)
    return target


@pytest.fixture(scope="session")
def pixels(lossless, tmp_path_factory) -> Path:
    """Those squares as shards of 16, as pixels."""
    target = tmp_path_factory.mktemp("pixels") / "set"
    prepare(lossless, target, Storage("raw", STORE), shard_images=16, workers=1)
    return target
