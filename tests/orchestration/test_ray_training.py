"""Ray trains from image files to the summary, and to the same numbers as the local launcher."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.records import CheckpointSaved, Ended, RunStarted, Steps, Validated
from tests.conftest import Command

CLASSES = ("axe", "bee", "cat", "dog")


@pytest.fixture(scope="module", name="photographs")
def fixture_photographs(workplace: Path) -> Path:
    """Folders of classes with JPEG files of many sizes, named as a camera does."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 4)):
        for name in CLASSES:
            folder = workplace / "photographs" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                height, width = rng.integers(44, 90, 2)
                Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(folder / f"IMG_{number:04d}.JPEG", quality=90)
    return workplace / "photographs"


def test_from_image_files_to_the_summary(photographs: Path, workplace: Path, dist_alexnet: Command) -> None:
    typed = ["-c", "tiny.yaml", "--data", str(photographs), "--gpus", "2", "launch.threads=1", "--json"]
    ends = {}
    for launcher in ("ray", "local"):
        done = dist_alexnet("train", *typed, "--launcher", launcher, "--name", f"from-files-{launcher}")
        assert done.returncode == 0, done.stderr
        ends[launcher] = json.loads(done.stdout)
    summary = ends["ray"]
    assert {key: summary[key] for key in ("status", "strategy", "world_size", "device", "steps", "images", "bad_images", "restarts")} == {
        "status": "completed", "strategy": "channel_split", "world_size": 2, "device": "cpu", "steps": 6, "images": 96, "bad_images": [],
        "restarts": 0,
    }  # fmt: skip
    assert summary["val"]["images"] == 16
    directory = RunDirectory(workplace / "runs" / "from-files-ray")
    assert json.loads(directory.summary.read_text()) == summary
    records = [record for record in directory.records() if record.kind != "stage"]
    kinds = [type(record) for record in records]
    assert (kinds[0], kinds[-1], kinds.count(Steps), kinds.count(Validated), kinds.count(CheckpointSaved)) == (RunStarted, Ended, 6, 2, 2)
    for key in ("final_loss", "val", "exchange_bytes_per_step", "parameters"):
        assert summary[key] == ends["local"][key], key
    losses = [
        [r.loss for r in RunDirectory(workplace / "runs" / name).records() if isinstance(r, Steps)]
        for name in ("from-files-ray", "from-files-local")
    ]
    assert losses[0] == losses[1]
