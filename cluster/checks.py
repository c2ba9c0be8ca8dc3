"""What a doctor asks of Ray: the cluster that a run would join, or that there is none."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from multiprocessing import get_context
from pathlib import Path

from cluster import session
from cluster.launcher import RayLauncher, cluster_address
from cluster.node import AtNode, at_nodes, of_each
from dist_alexnet.config import UsageError
from dist_alexnet.doctor import link
from dist_alexnet.doctor.checks import Asked, Finding, measures
from dist_alexnet.doctor.storage import SCRATCH, existing
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.scratch import scratch
from dist_alexnet.telemetry.environment import versions

LOOPBACK = "127.0.0.1"


def ray(asked: Asked) -> Iterator[Finding]:
    """Whether the cluster answers, what it asks of those who join, and its room."""
    if not (address := cluster_address(asked.config.launch)):
        yield Finding("no cluster: neither launch.address nor RAY_ADDRESS names one; a run starts a Ray of its own, with a token")
        yield Finding(f"its sockets go to {session.place_for_sockets()}")
        return
    config = asked.config.launch
    session.connect(address)  # a UsageError says what is wrong
    yield Finding(f"the cluster at {address} answers; {_token()}")
    least, device = config.min_workers or config.workers or 1, "cpu" if config.device == "auto" else config.device
    try:
        RayLauncher(replace(config, workers=least, device=device)).validate()
        yield Finding(f"it has room for {least} rank(s) on {device}")
    except UsageError as error:
        if not config.wait_s:
            raise
        yield Finding(f"train waits up to {config.wait_s:g} s for room: {str(error).partition('; type')[0]}")


def nodes(asked: Asked) -> Iterator[Finding]:
    """Of every node of a cluster: what it has, that it runs the same, and that it sees the folder of runs as the others do."""
    with at_nodes(cluster_address(asked.config.launch)) as there:
        if not there:
            yield Finding("one node, this machine")
            return
        answering = []
        for node, versions_there in of_each(there, AtNode.versions):
            if isinstance(versions_there, UsageError):
                yield Finding(f"{node.name}: {node.resources}", str(versions_there))
                continue
            answering.append(node)
            other = _differences(versions_there)
            yield Finding(f"{node.name}: {node.resources}{'' if other else ', the same versions as here'}", other)
        yield from _storage(answering, existing(asked.output_dir))


def _storage(there: Sequence[AtNode], folder: Path) -> Iterator[Finding]:
    with RunDirectory(folder).writing(), scratch(SCRATCH, folder) as shared:
        for node, wrong in of_each(there, lambda node: node.write(str(shared))):
            if not wrong and not Path(shared, node.id).is_file():
                wrong = "what it wrote is not seen from here"
            remedy = "mount the same storage there, under this path, or type --output-dir with a folder that all nodes mount"
            yield Finding(f"{node.name} writes to {folder}", f"{wrong}; {remedy}" if wrong else "")


@measures
def network(asked: Asked) -> Iterator[Finding]:
    """Bandwidth and round trip between two processes: of each pair of nodes, or on this machine where there is one node."""
    with at_nodes(cluster_address(asked.config.launch)) as there:
        if len(there) < 2:
            yield _said("two processes here", _between_processes())
            return
        answers = list(of_each(there, AtNode.versions))
        for node, answer in answers:
            if isinstance(answer, UsageError):
                yield Finding(node.name, str(answer))
        for caller, listener in permutations([node for node, answer in answers if not isinstance(answer, UsageError)], 2):
            try:
                yield _said(f"{caller.name} to {listener.name}", caller.measure(*listener.listen()))
            except OSError as error:
                remedy = "open all ports between the nodes to each other, which ranks use"
                yield Finding(f"{caller.name} to {listener.name}", f"{error.strerror or error}; {remedy}")
            except UsageError as error:  # one has stopped to answer
                yield Finding(f"{caller.name} to {listener.name}", str(error))


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


def _token() -> str:
    """How it knows who may join, and never the token."""
    from ray._private.authentication.authentication_utils import is_token_auth_enabled

    return "it asks for a token" if is_token_auth_enabled() else "it asks for no token: whoever reaches its ports can run code on it"


def _differences(theirs: Mapping[str, str]) -> str:
    """What is not installed as it is here; empty: nothing."""
    mine = versions()
    other = [f"{name} {there} and not {mine.get(name)}" for name, there in theirs.items() if there != mine.get(name)]
    return f"it has {', '.join(other)}; install the same on all nodes" if other else ""
