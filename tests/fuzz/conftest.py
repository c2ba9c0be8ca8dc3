"""What is read while it is damaged."""

from pathlib import Path

import pytest

from dist_alexnet.config import SynthConfig
from dist_alexnet.data.prepare.photograph import Storage
from dist_alexnet.data.prepare.prepare import prepare
from dist_alexnet.data.synth.synth import write


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 squares to train on and 10 to validate on, as shards of 7."""
    folder = tmp_path_factory.mktemp("fuzzed")
    write(folder / "photographs", SynthConfig(classes=4, train=24, val=10, seed=3))
    prepare(folder / "photographs", folder / "set", Storage(size=64), shard_images=7, workers=1)
    return folder / "set"
