"""Shared by the tests of all rooms."""

from pathlib import Path

import pytest
import yaml

from tests.unit.asking import TINY


@pytest.fixture
def preset(tmp_path: Path) -> str:
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(TINY))
    return str(file)
