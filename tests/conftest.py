"""Shared by all tests: a network that trains in milliseconds on a data set that is generated in one."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TINY = """
model: {image_size: 36, init: fan_in, widths: {conv1: 8, conv2: 12, conv3: 16, conv4: 16, conv5: 12, fc6: 20, fc7: 24}}
data: {store_size: 40, std: 64, synth: {classes: 4, train: 96, val: 22}}
train: {global_batch: 16, epochs: 2, log_every: 1, checkpoint_every: 3, keep_checkpoints: 0, schedule: {name: plateau, patience: 1}}
strategy: {name: channel_split}
launch: {name: local, device: cpu}
"""

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the preset `tiny.yaml`, where commands run and leave `runs/`."""
    folder = tmp_path_factory.mktemp("workplace")
    (folder / "tiny.yaml").write_text(TINY)
    return folder


@pytest.fixture(scope="session")
def dist_alexnet(workplace: Path) -> Command:
    """Run the program as a person does, in the workplace: `dist_alexnet("train", "--name", "x")`."""

    def run(*arguments: str, timeout_s: float = 120, cwd: Path = workplace) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dist_alexnet", *arguments]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout_s, check=False)

    return run
