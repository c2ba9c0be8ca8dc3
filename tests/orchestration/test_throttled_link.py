"""A comparison whose ranks talk through a link of 100 Mbit/s: what it says of each strategy. By hand: it needs root, `ip` and `tc`."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SPACE = f"dist-alexnet-{os.getpid()}"
SLOW = ["tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "100mbit", "burst", "128kb", "latency", "200ms"]


@pytest.fixture
def inside() -> Iterator[list[str]]:
    """What runs a command in a network namespace whose only link, the loopback, is slow."""
    if not (shutil.which("ip") and shutil.which("tc")):
        pytest.skip("no ip or tc on the PATH; install iproute2")
    if subprocess.run(["ip", "netns", "add", SPACE], capture_output=True, check=False).returncode:
        pytest.skip("network namespaces cannot be made here; be root, outside of a container that forbids them")
    inside = ["ip", "netns", "exec", SPACE]
    try:
        for command in (["ip", "link", "set", "lo", "up"], SLOW):
            subprocess.run([*inside, *command], check=True)
        yield inside
    finally:
        subprocess.run(["ip", "netns", "delete", SPACE], check=True)


@pytest.mark.slow
def test_it_is_the_link_that_limits_who_sends_most(inside: list[str], tmp_path: Path) -> None:
    command = [*inside, sys.executable, "-m", "dist_alexnet", "compare", "-c", "quickstart", "--strategies", "single,ddp,channel_split"]
    command += ["--gpus", "2", "-b", "64", "--rounds", "8", "--out", "compared", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    said = {result["strategy"]: result["limit"] for result in json.loads(done.stdout)["results"]}
    assert said["ddp"].endswith("of its step for 1.0 MB of gradients a rank, 34% of them of the fully connected layers")
    assert said["channel_split"].startswith("channel_split on 2 waits ")
    assert "the input of " in said["channel_split"]
    assert "computes" in said["single"]
