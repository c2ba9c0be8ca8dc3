"""Runs in the background, to be disturbed."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

WAIT_S = 200  # two cores that others use, too


def begin(workplace: Path, name: str, *arguments: str, temporary: Path) -> "subprocess.Popen[str]":
    """Start a training that goes on until somebody ends it, at the head of a process group of its own."""
    command = [sys.executable, "-m", "dist_alexnet", "train", "-c", "tiny.yaml", "--name", name, "train.epochs=1000", *arguments]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    return subprocess.Popen(
        command, cwd=workplace, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def wait_until(run: "subprocess.Popen[str]", happened: Callable[[], object]) -> None:
    """Wait for something that a run does."""
    deadline = time.monotonic() + WAIT_S
    while not happened():
        assert run.poll() is None, run.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.005)


def has_logged(folder: Path, text: str) -> bool:
    """Whether metrics.jsonl of a run holds a text."""
    metrics = folder / "metrics.jsonl"
    return metrics.exists() and text in metrics.read_text()


def left_of(run: "subprocess.Popen[str]") -> list[str]:
    """The living processes of the session of a run; those that are about to end by themselves get the time."""
    for _ in range(100):
        listed = subprocess.run(["ps", "-s", str(run.pid), "-o", "pid=,stat=,args="], capture_output=True, text=True, check=False).stdout
        left = [line for line in listed.splitlines() if line.split()[1][0] != "Z"]
        if not left:
            break
        time.sleep(0.05)
    return left
