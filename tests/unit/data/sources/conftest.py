import shutil
from pathlib import Path

import pytest

from tests.unit.data.sources.hub_files import build_hub
from tests.unit.data.sources.ilsvrc_archives import build_archives


@pytest.fixture(scope="session")
def built_archives(tmp_path_factory) -> Path:
    """20 classes of 3 training images, 40 validation images."""
    target = tmp_path_factory.mktemp("archives") / "set"
    build_archives(target, train_per_class=3)
    return target


@pytest.fixture
def archives(built_archives, tmp_path) -> Path:
    """A copy for each test to break."""
    return shutil.copytree(built_archives, tmp_path / "archives")


@pytest.fixture(scope="session", params=["parquet", "stream", "file"])
def hub(request, tmp_path_factory) -> Path:
    """Hugging Face's files in each format, 3 for training and 2 for validation."""
    target = tmp_path_factory.mktemp("hub") / request.param
    build_hub(target, request.param)
    return target


@pytest.fixture
def hub_copy(hub, tmp_path) -> Path:
    """Such files for each test to break."""
    build_hub(tmp_path / hub.name, hub.name)
    return tmp_path / hub.name
