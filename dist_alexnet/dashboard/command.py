"""`dist-alexnet dashboard`, which comes in as commands of other packages do."""

import errno
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from dist_alexnet.config import UsageError


def dashboard(
    runs: Annotated[Path, typer.Option("--runs", help="Folder of run folders.")] = Path("runs"),
    host: Annotated[str, typer.Option("--host", help="Address to listen at; by itself no other machine can look.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen at; 0: one that is free.", min=0, max=65535)] = 8050,
) -> None:
    """Look at runs in a browser: live and finished ones, side by side. Reads what they have written, and needs no network."""
    _check(runs)
    listening = listen(host, port)
    from dist_alexnet.dashboard.server import server_of

    server = server_of(listening, runs, host)
    bound = listening.getsockname()
    at = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    print(f"http://{at}:{bound[1]}/ shows the runs in {ascii(str(runs))[1:-1]}; Ctrl-C ends it", flush=True)
    server.serve_forever()  # it returns when somebody types Ctrl-C
    sys.exit(128 + signal.SIGINT)


def _check(runs: Path) -> None:
    if not runs.is_dir():
        raise UsageError(f"--runs {runs}: there is no such folder; type the one that holds the folders of runs")
    if (runs / "metrics.jsonl").exists():
        raise UsageError(f"--runs {runs}: that is a run; type the folder that it lies in, --runs {runs.absolute().parent}")
    try:
        next(runs.iterdir(), None)
    except OSError as error:
        raise UsageError(f"--runs {runs}: {error.strerror}; type a folder that you can read") from None


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        UsageError: it cannot be had.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=128)
    except (socket.gaierror, UnicodeError) as error:
        told = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"--host {host}: {told}; type 127.0.0.1, or an address of this machine") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"--port {port} is in use on {host}; type another, or 0 for one that is free") from None
        told = os.strerror(error.errno or 0)
        if error.errno == errno.EACCES:
            raise UsageError(f"--port {port}: {told}; type one from 1024 on, or 0 for one that is free") from None
        raise UsageError(f"--host {host}: {told}; type 127.0.0.1, or an address of this machine") from None
