"""A real Prometheus that looks every second, with the project's own configuration and rules in a hurry."""

import json
import re
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cluster.monitoring.generate import FOLDER

MONITORING = FOLDER.parent
WINDOW = "15s"  # instead of minutes, hours and days
SILENCE_S = 5  # instead of 300
WAIT_S = 90  # two cores that others use, too


def in_a_hurry(rules: str) -> str:
    """The rules, for runs of seconds."""
    rules = re.sub(r"\[\w+\]", f"[{WINDOW}]", rules)
    return re.sub(r"for: \w+", "for: 1s", rules).replace("clamp_min(10 * dist_alexnet_report_seconds, 300)", f"{SILENCE_S}")


def free_port() -> int:
    """Of loopback; somebody else may take it, which is unlikely."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


class Server:
    """Asks it."""

    def __init__(self, port: int, process: "subprocess.Popen[bytes]") -> None:
        self._url, self._process = f"http://127.0.0.1:{port}/api/v1", process

    def get(self, path: str, **parameters: str) -> Any:
        """The data of an answer."""
        try:
            with urllib.request.urlopen(f"{self._url}/{path}?{urllib.parse.urlencode(parameters)}") as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Series of an expression, now."""
        found: list[dict[str, Any]] = self.get("query", query=query)["result"]
        return found

    def wait_for(self, query: str, good: Callable[[list[dict[str, Any]]], bool] = bool) -> list[dict[str, Any]]:
        """Until an expression has series, or good ones."""
        deadline = time.monotonic() + WAIT_S
        while not good(found := self.ask(query)):
            assert time.monotonic() < deadline, (query, found)
            assert self._process.poll() is None
            time.sleep(0.3)
        return found


@contextmanager
def prometheus(folder: Path, runs: Path, ray: Path) -> Iterator[Server]:
    """Watch the runs of an output directory, and what Ray's file says."""
    folder.mkdir()
    config = (MONITORING / "prometheus.yml").read_text().replace("15s", "1s")
    for theirs, ours in (("/runs/.prometheus", runs / ".prometheus"), ("/tmp/ray/prom_metrics_service_discovery.json", ray)):
        assert theirs in config
        config = config.replace(theirs, str(ours))
    (folder / "prometheus.yml").write_text(config)
    (folder / "alerts.yml").write_text(in_a_hurry((MONITORING / "alerts.yml").read_text()))
    port = free_port()
    options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "log").open("wb") as log, subprocess.Popen(["prometheus", *options], stdout=log, stderr=log) as process:
        server = Server(port, process)
        try:
            _wait_until_ready(port, process)
            yield server
        finally:
            process.terminate()


def _wait_until_ready(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + WAIT_S
    while True:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready"):  # 503 before it has read its storage
            return
        assert process.poll() is None, "it does not start"
        assert time.monotonic() < deadline
        time.sleep(0.1)
