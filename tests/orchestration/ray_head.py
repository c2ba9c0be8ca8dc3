"""The head node of a Ray cluster, on this machine, which asks for a token."""

import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SLOTS = 2


def with_token() -> None:
    """Ray reads it once, when it is imported: all clusters of a test session ask for the same."""
    if "RAY_AUTH_TOKEN" not in os.environ:
        assert "ray" not in sys.modules, "no test module may import it"
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))


def free_port() -> int:
    """Somebody else may take it, which is unlikely."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def head(*options: str, **environment: str) -> Iterator[tuple[str, Path]]:
    """Its address, at which nobody may answer yet, and its folder."""
    with_token()
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:  # not tmp_path: it is too long for sockets
        # By default the same for all heads of a machine: a head that finds one taken ends, seconds after it has begun to answer.
        own = {name: free_port() for name in ("ray-client-server-port", "dashboard-agent-listen-port")}
        ports = [f"--port={port}", *(f"--{name}={number}" for name, number in own.items())]
        typed = [*ports, f"--num-cpus={SLOTS}", "--num-gpus=0", f"--temp-dir={folder}", *options]
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats", *typed]
        faster = {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"}  # else it takes 30 s to end
        variables = {**os.environ, **faster, **environment, "PYTHONPATH": str(REPOSITORY)}
        with subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                yield f"127.0.0.1:{port}", Path(folder)
            finally:
                process.terminate()
