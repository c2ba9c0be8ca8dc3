"""Runs in the background, to be disturbed."""

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

WAIT_S = 200  # two cores that others use, too
BEGUN: "list[subprocess.Popen[str]]" = []
MOST_SAID = 2**20  # bytes of a run that nobody reads before its end: with the 64 KB of a pipe it waits after some hundred steps
LISTENS = "0A"  # in /proc/net/tcp


def begin(workplace: Path, name: str, *arguments: str, temporary: Path | None = None) -> "subprocess.Popen[str]":
    """Start a training that goes on until somebody ends it, at the head of a process group of its own."""
    command = [sys.executable, "-m", "dist_alexnet", "train", "-c", "tiny.yaml", "--name", name, "train.epochs=1000", *arguments]
    environment = {**os.environ, **({"TMPDIR": str(temporary)} if temporary else {})}
    run = subprocess.Popen(
        command,
        cwd=workplace,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pipesize=MOST_SAID,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # the tests may run under nohup, which a run heeds
    )
    BEGUN.append(run)
    return run


def end_all() -> None:
    """Whatever still runs: a test that has failed leaves it, and what comes after would have to share the cores with it."""
    while BEGUN:
        if (run := BEGUN.pop()).poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()


def ranks_of(run: "subprocess.Popen[str]") -> list[int]:
    """Process numbers of the ranks of a local run, by rank; orphans included: they stay in its process group."""
    found = subprocess.run(["pgrep", "-g", str(run.pid), "-f", "spawn_main"], capture_output=True, text=True, check=False).stdout
    return list(map(int, found.split()))


def wait_until(run: "subprocess.Popen[str]", happened: Callable[[], object], patience_s: float = WAIT_S) -> None:
    """Wait for something that a run does."""
    deadline = time.monotonic() + patience_s
    while not happened():
        assert run.poll() is None, run.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.005)


def has_logged(folder: Path, text: str) -> bool:
    """Whether metrics.jsonl of a run holds a text."""
    metrics = folder / "metrics.jsonl"
    return metrics.exists() and text in metrics.read_text()


def heard_from_afar(run: "subprocess.Popen[str]") -> list[str]:
    """TCP sockets of the session of a run that do not listen to this machine alone, as "process address"."""
    owners = {}
    listed = subprocess.run(["ps", "-s", str(run.pid), "-o", "pid=,comm="], capture_output=True, text=True, check=True).stdout
    for pid, name in (line.split(maxsplit=1) for line in listed.splitlines()):
        for file in Path(f"/proc/{pid}/fd").glob("*"):
            with suppress(OSError):
                owners[os.readlink(file)] = name
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            address = ip_address(socket.inet_ntop(*_address(local)).removeprefix("::ffff:"))
            if state == LISTENS and f"socket:[{inode}]" in owners and not address.is_loopback:
                found.append(f"{owners[f'socket:[{inode}]']} {address}")
    return found


def _address(text: str) -> tuple[socket.AddressFamily, bytes]:
    """As the kernel writes it: words of four bytes, in the order of the machine."""
    words = bytes.fromhex(text.partition(":")[0])
    packed = b"".join(struct.pack("=I", *struct.unpack(">I", words[at : at + 4])) for at in range(0, len(words), 4))
    return (socket.AF_INET if len(packed) == 4 else socket.AF_INET6), packed


def left_of(run: "subprocess.Popen[str]") -> list[str]:
    """The living processes of the session of a run; those that are about to end by themselves get the time."""
    for _ in range(100):
        listed = subprocess.run(["ps", "-s", str(run.pid), "-o", "pid=,stat=,args="], capture_output=True, text=True, check=False).stdout
        left = [line for line in listed.splitlines() if line.split()[1][0] != "Z"]
        if not left:
            break
        time.sleep(0.05)
    return left
