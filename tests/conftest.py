"""Shared by all tests: a network that trains in milliseconds on a data set that is generated in one."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("ours", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
settings.load_profile("ours")

TINY = """
model: {image_size: 36, init: fan_in, widths: {conv1: 8, conv2: 12, conv3: 16, conv4: 16, conv5: 12, fc6: 20, fc7: 24}}
data: {store_size: 40, std: 64, synth: {classes: 4, train: 96, val: 22}}
train: {global_batch: 16, epochs: 2, log_every: 1, checkpoint_every: 3, keep_checkpoints: 0, schedule: {name: plateau, patience: 1}}
strategy: {name: channel_split}
launch: {name: local, device: cpu}
"""

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session", autouse=True)
def no_traceback_reaches_a_terminal() -> Iterator[None]:
    """Whatever a test does to the program: what it prints is for the person who typed the command. Tracebacks are in the logs of a run."""
    original = subprocess.Popen.communicate

    def communicate(self: "subprocess.Popen[Any]", *arguments: Any, **options: Any) -> tuple[Any, Any]:
        printed = original(self, *arguments, **options)
        if "dist_alexnet" in str(self.args) or "dist-alexnet" in str(self.args):
            assert "Traceback (most recent call last)" not in str(printed), printed
        return printed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess.Popen, "communicate", communicate)  # `subprocess.run` calls it, too
        yield


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the preset `tiny.yaml`, where commands run and leave `runs/`, and with somebody else's packages of our names."""
    folder = tmp_path_factory.mktemp("workplace")
    (folder / "tiny.yaml").write_text(TINY)
    for name in ("cluster", "configs", "strategies"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise ImportError('somebody else')")
    return folder


@pytest.fixture(scope="session")
def dist_alexnet(workplace: Path) -> Command:
    """Run the program as a person does, in the workplace: `dist_alexnet("train", "--name", "x")`."""

    def run(*arguments: str, timeout_s: float = 240, cwd: Path = workplace) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dist_alexnet", *arguments]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout_s, check=False)

    return run


FAULTY = """
import time

from strategies.ddp.strategy import Ddp

class Forgetful(Ddp):
    name = "forgetful"

    def parallelize(self, network):
        return network  # and so never sums its gradients

class Sleepy(Ddp):
    name = "sleepy"

    def train_step(self, net, optimizer, lr, batch, step):
        if self.world.rank == 1 and step == 2:
            time.sleep(600)
        return super().train_step(net, optimizer, lr, batch, step)

class Unfinished(Ddp.__mro__[1]):
    name = "unfinished"
"""
ENTRY_POINTS = """[dist_alexnet.strategies]
forgetful = faulty:Forgetful
sleepy = faulty:Sleepy
unfinished = faulty:Unfinished
missing = no_such_module:Strategy
"""


@pytest.fixture
def with_plug_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody's package: one strategy that forgets its gradients, one that sleeps, one that lacks a method, one that does not import."""
    (tmp_path / "faulty.py").write_text(FAULTY)
    info = tmp_path / "faulty-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
