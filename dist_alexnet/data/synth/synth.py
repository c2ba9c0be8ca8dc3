"""A generated data set of real JPEG files, so that a first training needs no download and a test knows what to expect.

A small AlexNet on 64-pixel crops has to learn shapes to tell the classes apart, and does so in a few hundred steps. Sizes and aspect
ratios differ and one image in twenty is grey-scale, as in ImageNet.
"""

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from dist_alexnet.config import SynthConfig, UsageError
from dist_alexnet.data.synth.drawing import SHAPES, class_name, draw
from dist_alexnet.json_text import to_json

RECIPE = "synth.json"  # what the folder was generated from; written last
GREY_SHARE = 0.05


def ensure(target: str | Path, config: SynthConfig) -> None:
    """Make sure that the folder holds this data set; returns at once when it does.

    Raises:
        UsageError: the folder holds something else.
        OSError: it cannot be written.
    """
    recipe = Path(target) / RECIPE
    if not recipe.is_file():
        try:
            write(target, config)
        except OSError:
            if not recipe.is_file():  # else another run was faster, which is as well
                raise
    if json.loads(recipe.read_text()) != asdict(config):
        raise UsageError(f"{target}: generated from {recipe.read_text()}, not from data.synth={asdict(config)}; type another --output-dir")


def write(target: str | Path, config: SynthConfig, tell: Callable[[str], None] = lambda line: None) -> None:
    """Write `target/train/<class>/*.jpg` and `target/val/<class>/*.jpg`, all at once when complete. Same configuration, same bytes.

    `tell` hears how many are drawn, once they can be.

    Raises:
        UsageError: the folder exists already.
        OSError: it cannot be written.
    """
    target = Path(target)
    _check(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f"{target.name}.unfinished-", dir=target.parent))
    tell(f"drawing {config.train + config.val:,} images")
    try:
        for number, (split, images) in enumerate({"train": config.train, "val": config.val}.items()):
            for index in range(images):
                label = index % config.classes
                folder = unfinished / split / class_name(label)
                folder.mkdir(parents=True, exist_ok=True)
                _picture(label, config, np.random.default_rng((config.seed, number, index))).save(folder / f"{index:06d}.jpg", quality=90)
        (unfinished / RECIPE).write_text(to_json(asdict(config)))
        unfinished.chmod(0o755)  # mkdtemp keeps others out
        unfinished.replace(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _check(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target}: it exists and is not empty; name a new folder")


def _picture(label: int, config: SynthConfig, rng: np.random.Generator) -> Image.Image:
    by_shape_alone = config.classes <= len(SHAPES)
    picture = Image.fromarray(draw(label, 0.1 if by_shape_alone else 0.02, rng))
    return picture.convert("L") if rng.random() < GREY_SHARE else picture
