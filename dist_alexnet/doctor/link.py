"""How fast two processes talk over TCP: one listens and gives back what it is told to, the other measures.

Nothing that arrives is read as anything but bytes, and whoever does not say the token first is not answered.
"""

import secrets
import socket
import statistics
import struct
import threading
import time
from dataclasses import dataclass

ROUND_TRIPS = 200
BANDWIDTH_S = 1.0
CHUNK = bytes(2**20)
WAIT_S = 20.0
COUNT = struct.Struct("<Q")


@dataclass(frozen=True)
class Link:
    """What was measured between two."""

    round_trip_s: float  # median of messages of eight bytes
    bytes_per_second: float  # one way


def listen(host: str) -> tuple[int, bytes]:
    """Answer one caller in a thread, for at most WAIT_S. Returns the port, and the token that the caller must say."""
    token, server = secrets.token_bytes(16), socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    port: int = server.getsockname()[1]
    threading.Thread(target=_answer, args=(server, token), daemon=True).start()
    return port, token


def measure(host: str, port: int, token: bytes) -> Link:
    """Talk to who listens there (OSError: nobody can be reached, or answers)."""
    with socket.create_connection((host, port), timeout=WAIT_S) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.sendall(token)
        trips = []
        for _ in range(ROUND_TRIPS):
            began = time.perf_counter()
            line.sendall(COUNT.pack(0))
            _receive(line, COUNT.size)
            trips.append(time.perf_counter() - began)
        sent, began = 0, time.perf_counter()
        while time.perf_counter() - began < BANDWIDTH_S:
            line.sendall(COUNT.pack(len(CHUNK)) + CHUNK)
            sent += len(CHUNK)
            _receive(line, COUNT.size)  # so that what waits in buffers does not count
        return Link(statistics.median(trips), sent / (time.perf_counter() - began))


def _answer(server: socket.socket, token: bytes) -> None:
    """A count, so many bytes, and the count back; until the caller hangs up."""
    server.settimeout(WAIT_S)
    with server:
        try:
            line, _ = server.accept()
            with line:
                line.settimeout(WAIT_S)
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if not secrets.compare_digest(_receive(line, len(token)), token):
                    return
                while True:
                    header = _receive(line, COUNT.size)
                    _receive(line, min(COUNT.unpack(header)[0], len(CHUNK)))
                    line.sendall(header)
        except OSError:
            return


def _receive(line: socket.socket, size: int) -> bytes:
    """So many bytes (OSError: the line ends before)."""
    content = bytearray(size)
    view, have = memoryview(content), 0
    while have < size:
        if not (got := line.recv_into(view[have:])):
            raise ConnectionError("the other end hung up")
        have += got
    return bytes(content)
