"""A doctor and a real cluster of two nodes, which asks for a token."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.orchestration.ray_head import REPOSITORY, head


@pytest.fixture
def cluster() -> Iterator[str]:
    """The address of a head, and a second node on this machine."""
    with (
        head("--include-dashboard=false") as (address, _),
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder,
    ):
        _wait_for(address)
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats", f"--address={address}"]
        command += ["--num-cpus=1", "--num-gpus=0", f"--temp-dir={folder}"]
        variables = {**os.environ, "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0", "PYTHONPATH": str(REPOSITORY)}
        with subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as node:
            try:
                yield address
            finally:
                node.terminate()


def _wait_for(address: str) -> None:
    host, _, port = address.rpartition(":")
    for _ in range(600):
        with suppress(OSError):
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        time.sleep(0.1)


@pytest.mark.slow
def test_every_node_and_every_pair_of_nodes(cluster: str, tmp_path: Path) -> None:
    """Each writes to the run folder; each reaches the other; the token is in nothing that is printed."""
    typed = ["doctor", "ray", "nodes", "network", "--gpus", "3", "--device", "cpu", "--output-dir", str(tmp_path), "--json"]
    command = [sys.executable, "-m", "dist_alexnet", *typed]
    for _ in range(4):  # the second node takes a while to join
        done = subprocess.run(command, env={**os.environ, "RAY_ADDRESS": cluster}, capture_output=True, text=True, timeout=200)
        found = json.loads(done.stdout)
        if done.returncode == 0:
            break
    said = [each["what"] for each in found]
    assert (done.returncode, done.stderr) == (0, ""), found
    assert f"the cluster at {cluster} answers; it asks for a token" in said
    assert "it has room for 3 rank(s) on cpu" in said
    nodes = sorted(line.partition(": ")[2] for line in said if "the same versions" in line)
    assert nodes == ["1 CPU, 0 GPU, the same versions as here", "2 CPU, 0 GPU, the same versions as here"]
    assert len([line for line in said if line.endswith(f" writes to {tmp_path}")]) == 2
    links = [each["numbers"] for each in found if each["check"] == "network"]
    assert len(links) == 2
    assert all(link["bytes_per_second"] > 0 and link["round_trip_s"] > 0 for link in links)
    assert os.environ["RAY_AUTH_TOKEN"] not in done.stdout
    assert not list(tmp_path.iterdir())
