"""What a doctor asks of Ray: the cluster that a run would join, or that there is none."""

import os
import tempfile
from collections.abc import Iterator
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path

from cluster import session
from cluster.launcher import RayLauncher
from cluster.node import AtNode, at_nodes
from dist_alexnet.config import LaunchConfig, UsageError
from dist_alexnet.doctor import link
from dist_alexnet.doctor.checks import Asked, Finding, measures
from dist_alexnet.telemetry.environment import versions

LOOPBACK = "127.0.0.1"


def ray(asked: Asked) -> Iterator[Finding]:
    """Whether the cluster answers, what it asks of those who join, and its room."""
    if not (address := _address(asked)):
        yield Finding("no cluster: neither launch.address nor RAY_ADDRESS names one; a run starts a Ray of its own, with a token")
        yield Finding(f"its sockets go to {session.place_for_sockets()}")
        return
    config = asked.config.launch
    session.connect(address)  # a UsageError says what is wrong
    yield Finding(f"the cluster at {address} answers; {_token()}")
    device = "cpu" if config.device == "auto" else config.device
    RayLauncher(LaunchConfig(workers=config.workers or 1, device=device, address=address)).validate()
    yield Finding(f"it has room for {config.workers or 1} rank(s) on {device}")


def nodes(asked: Asked) -> Iterator[Finding]:
    """Of every node of a cluster: what it has, that it runs the same, and that it sees the folder of runs as the others do."""
    with at_nodes(_address(asked)) as there:
        if not there:
            yield Finding("one node, this machine")
        folder = _nearest(asked.output_dir)
        for node in there:
            yield Finding(f"{node.name}: {node.resources}{_differences(node)[0]}", _differences(node)[1])
        if there:
            yield from _storage(there, folder)


def _storage(there: "list[AtNode]", folder: Path) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=folder) as shared:
        for node in there:
            wrong = node.write(shared)
            if not wrong and not Path(shared, node.id).is_file():
                wrong = "what it wrote is not seen from here"
            remedy = "mount the same storage there, under this path, or type --output-dir with a folder that all nodes mount"
            yield Finding(f"{node.name} writes to {folder}", f"{wrong}; {remedy}" if wrong else "")


@measures
def network(asked: Asked) -> Iterator[Finding]:
    """Bandwidth and round trip between two processes: of each pair of nodes, or on this machine where there is one node."""
    with at_nodes(_address(asked)) as there:
        if len(there) < 2:
            yield _said("two processes here", _between_processes())
            return
        for first, second in combinations(there, 2):
            for caller, listener in ((first, second), (second, first)):
                try:
                    yield _said(f"{caller.name} to {listener.name}", caller.measure(*listener.listen()))
                except OSError as error:
                    remedy = "open all ports between the nodes to each other, which ranks use"
                    yield Finding(f"{caller.name} to {listener.name}", f"{error.strerror or error}; {remedy}")


def _said(between: str, found: link.Link) -> Finding:
    return Finding(
        f"{between}: {1000 * found.round_trip_s:.2f} ms there and back, {found.bytes_per_second / 1e6:,.0f} MB/s",
        numbers={"round_trip_s": found.round_trip_s, "bytes_per_second": found.bytes_per_second},
    )


def _between_processes() -> link.Link:
    context = get_context("spawn")
    answers, theirs = context.Pipe(duplex=False)
    port, token = link.listen(LOOPBACK)
    process = context.Process(target=_measure, args=(port, token, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        trip, rate = map(float, answers.recv_bytes().split())
    except EOFError:
        raise UsageError("this machine does not reach itself at 127.0.0.1; type ip link set lo up") from None
    finally:
        process.join()
    return link.Link(trip, rate)


def _measure(port: int, token: bytes, answers) -> None:  # type: ignore[no-untyped-def]  # Connection, whose type has parameters from 3.13 on
    found = link.measure(LOOPBACK, port, token)
    answers.send_bytes(f"{found.round_trip_s} {found.bytes_per_second}".encode())


def _address(asked: Asked) -> str | None:
    address = asked.config.launch.address or os.environ.get("RAY_ADDRESS")
    return None if address == "local" else address or None


def _token() -> str:
    """How it knows who may join, and never the token."""
    from ray._private.authentication.authentication_utils import is_token_auth_enabled

    return "it asks for a token" if is_token_auth_enabled() else "it asks for no token: whoever reaches its ports can run code on it"


def _differences(node: "AtNode") -> tuple[str, str]:
    """What is installed there in words; what is not as it is here."""
    mine = versions()
    other = [f"{name} {theirs} and not {mine.get(name)}" for name, theirs in node.versions().items() if theirs != mine.get(name)]
    return ("", f"it has {', '.join(other)}; install the same on all nodes") if other else (", the same versions as here", "")


def _nearest(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())
