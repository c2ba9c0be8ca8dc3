"""A real S3 on loopback, that can be stopped and goes on."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from pyarrow import fs

SETTINGS = {"AWS_ACCESS_KEY_ID": "of-a-test", "AWS_SECRET_ACCESS_KEY": "of-a-test", "AWS_EC2_METADATA_DISABLED": "true"}
START_S = 60


@dataclass(frozen=True)
class S3:
    """The server, with one bucket."""

    process: "subprocess.Popen[bytes]"
    port: int

    def uri(self, path: str = "runs") -> str:
        return f"s3://bucket/{path}?endpoint_override=127.0.0.1:{self.port}&scheme=http"

    def put(self, name: str, content: bytes) -> None:
        """An object of any name, also of one that `pyarrow.fs` would not write."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("PUT", f"/bucket/{name}", content)
        assert connection.getresponse().status == 200
        connection.close()

    @contextmanager
    def away(self) -> Iterator[None]:
        """It does not answer: connections are taken, and nothing comes."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@contextmanager
def s3_server() -> Iterator[S3]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setitem(os.environ, name, value)
        try:
            _wait_for(process, port)
            fs.S3FileSystem(endpoint_override=f"127.0.0.1:{port}", scheme="http", allow_bucket_creation=True).create_dir("bucket")
            yield S3(process, port)
        finally:
            process.kill()
            process.wait()


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Until it has answered: the first answer loads what the library asks for with less patience."""
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_S)
        try:
            connection.request("GET", "/")
            connection.getresponse().read()
            return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise AssertionError("the S3 server does not start")
