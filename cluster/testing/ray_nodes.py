"""Ray on nodes of a network: the first is its head. It asks for a token, and notices within seconds that a node is lost."""

import os
import re
import secrets
import subprocess
import sys
import time
from pathlib import Path

from cluster.testing.network import Node, Running

PORT = 6379
OF_RUNS = re.compile("dist_alexnet|ray::.*(Train|Worker)")
END_S = 30
MOST_SAID = 2**20  # bytes of a training that nobody reads before its end; then it waits
PROGRAM = (sys.executable, "-m", "dist_alexnet")
HOME = "/run/ray"  # of sockets and logs: of each node its own
STORE_BYTES = 80 * 2**20
QUICK = {
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "5",  # a node that does not answer is dead after 10 s; by Ray's own numbers after a minute
    "RAY_worker_niceness": "0",  # else whoever else uses the machine comes first
    "RAY_gcs_rpc_server_reconnect_timeout_s": "10",  # a node without its head ends; by itself after a minute
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",  # else an end takes 30 s
}
COUNT = """
import sys, time
from cluster import session
from dist_alexnet.config import UsageError

def living():
    try:
        session.connect(sys.argv[1])
        import ray
        return sum(node["Alive"] for node in ray.nodes())
    except UsageError as error:  # the head is not there yet
        return str(error)

deadline = time.monotonic() + float(sys.argv[3])
while (there := living()) != int(sys.argv[2]):
    if time.monotonic() > deadline:
        sys.exit(f"living nodes: {there}")
    time.sleep(0.1)
"""


class RayNodes:
    """A Ray cluster."""

    def __init__(self, nodes: list[Node], slots: list[int]) -> None:
        """`slots`: of each node, for ranks."""
        self.nodes, self.head, self._slots = nodes, nodes[0], slots
        self.address = f"{self.head.address}:{PORT}"
        self.running: dict[Node, Running] = {}  # Ray on each node; it ends when Ray there does
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        self.environment = {**kept, **QUICK, **token, "TMPDIR": "/run", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    def begin(self) -> None:
        """Start all nodes, and wait for them (AssertionError: they do not come)."""
        for node in self.nodes:
            self.join(node)
        self.wait_for(len(self.nodes))

    def join(self, node: Node, *options: str) -> None:
        """Start Ray on a node."""
        role = ["--head", f"--port={PORT}", "--include-dashboard=false"] if node is self.head else [f"--address={self.address}"]
        sizes = [f"--num-cpus={self._slots[self.nodes.index(node)]}", "--num-gpus=0", f"--object-store-memory={STORE_BYTES}"]
        places = [f"--node-ip-address={node.address}", f"--temp-dir={HOME}", "--block", "--disable-usage-stats"]
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", *role, *sizes, *places, *options]
        with Path(f"/proc/{node.pid}/root/run/start.log").open("a") as log:
            self.running[node] = node.start(*command, env=self.environment, cwd=Path("/"), stdout=log, stderr=log)

    def wait_for(self, count: int, timeout_s: float = 240) -> None:
        """Wait until so many nodes live, as the head sees it (AssertionError: they do not)."""
        done = self.head.run(sys.executable, "-c", COUNT, self.address, str(count), str(timeout_s), env=self.environment)
        started = Path(f"/proc/{self.head.pid}/root/run/start.log").read_text()
        assert done.returncode == 0, f"{done.stderr}\n{started}"

    def run_processes(self) -> list[str]:
        """Command lines of what ranks and drivers have left on the nodes, once Ray has had the time to end them."""
        deadline = time.monotonic() + END_S
        while (
            left := [line for node in self.nodes for line in node.command_lines() if OF_RUNS.search(line)]
        ) and time.monotonic() < deadline:
            time.sleep(0.2)
        return left

    def train(self, *arguments: str, cwd: Path, driver: Node | None = None) -> Running:
        """Start a training on this cluster, of ranks with a thread each: every node takes the cores of the whole machine for its own.

        `driver`: the node that it is typed on; the head by default. What it prints, on both streams, is in `stdout` of what is returned.
        """
        typed = ["train", "--launcher", "ray", f"launch.address={self.address}", "launch.threads=1", *arguments]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "pipesize": MOST_SAID}
        return (driver or self.head).start(*PROGRAM, *typed, cwd=cwd, env=self.environment, **streams)
