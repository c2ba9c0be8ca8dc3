"""A doctor and a real cluster of two nodes, which asks for a token."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.orchestration.ray_head import REPOSITORY, head


@pytest.fixture
def cluster() -> Iterator[str]:
    """The address of a head, and a second node on this machine, with addresses of their own."""
    with (
        head("--node-ip-address=127.0.0.1") as (address, _),
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder,
    ):
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats", f"--address={address}"]
        command += ["--node-ip-address=127.0.0.2", "--num-cpus=1", "--num-gpus=0", f"--temp-dir={folder}"]
        variables = {**os.environ, "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0", "PYTHONPATH": str(REPOSITORY)}
        with subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as node:
            try:
                yield address
            finally:
                node.terminate()


def test_every_node_and_every_pair_of_nodes(cluster: str, tmp_path: Path) -> None:
    """Each writes to the run folder; each reaches the other; the token is in nothing that is printed."""
    typed = ["doctor", "ray", "nodes", "network", "--gpus", "3", "--device", "cpu", "--output-dir", str(tmp_path), "--json"]
    command = [sys.executable, "-m", "dist_alexnet", *typed]
    for _ in range(10):  # the second node takes a while to join
        done = subprocess.run(command, env={**os.environ, "RAY_ADDRESS": cluster}, capture_output=True, text=True, timeout=200)
        found = json.loads(done.stdout)
        if done.returncode == 0:
            break
    said = [each["what"] for each in found]
    assert (done.returncode, done.stderr) == (0, ""), found
    assert f"the cluster at {cluster} answers; it asks for a token" in said
    assert "it has room for 3 rank(s) on cpu" in said
    assert [line for line in said if "the same versions" in line] == [
        "127.0.0.1: 2 CPU, 0 GPU, the same versions as here",
        "127.0.0.2: 1 CPU, 0 GPU, the same versions as here",
    ]
    assert [f"{node} writes to {tmp_path}" in said for node in ("127.0.0.1", "127.0.0.2")] == [True, True]
    links = {each["what"].partition(":")[0]: each["numbers"] for each in found if each["check"] == "network"}
    assert set(links) == {"127.0.0.1 to 127.0.0.2", "127.0.0.2 to 127.0.0.1"}
    assert all(link["bytes_per_second"] > 0 and link["round_trip_s"] > 0 for link in links.values())
    assert os.environ["RAY_AUTH_TOKEN"] not in done.stdout
    assert not list(tmp_path.iterdir())
