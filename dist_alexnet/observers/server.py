"""Answers /metrics, and says in one line why it cannot."""

import socket
import threading
from http.server import ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import MetricsHandler

from dist_alexnet.config import UsageError

IDLE_S = 10  # of a connection that asks for nothing
ANYWHERE = ("0.0.0.0", "::")
FREE = "type another --metrics-port, or 0 for a free one"


class Server:
    """Listens from the start, so that a port that is taken is said at once; answers when `serve` was called."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        family, address = _resolve(host, port)
        handler = MetricsHandler.factory(registry)
        handler.timeout = IDLE_S  # type: ignore[attr-defined]  # of socketserver's handlers, which this class is one of
        try:
            self._server = type("_Server", (_Server,), {"address_family": family})(address, handler)
        except OSError as error:
            raise UsageError(f"cannot listen on {host}, port {port}: {error.strerror}; {_instead(error)}") from None
        bound = self._server.server_address[1]
        reachable = socket.gethostname() if host in ANYWHERE else host
        self.target = f"[{reachable}]:{bound}" if ":" in reachable else f"{reachable}:{bound}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="metrics", daemon=True)

    @property
    def url(self) -> str:
        """What Prometheus asks for."""
        return f"http://{self.target}/metrics"

    def serve(self) -> None:
        """Answer from here on."""
        self._thread.start()

    def close(self) -> None:
        """Answer no more, and give the port back."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Without looking up the name of the host, which takes seconds where no name server answers."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a resumed run takes the port of the one that was killed
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: whoever asked has gone."""


def _resolve(host: str, port: int) -> tuple[int, tuple[Any, ...]]:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError):
        raise UsageError(
            f"--metrics-host {host!r} is no name or address that this machine knows; type one of its own, or leave it out for 127.0.0.1"
        ) from None
    return family, address


def _instead(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "type a --metrics-port from 1024 on, or 0 for a free one"
    return FREE if "in use" in str(error.strerror) else "type a --metrics-host of this machine, or leave it out for 127.0.0.1"
