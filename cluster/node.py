"""A hand on every node of a cluster, for a doctor to try things there."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import session
from dist_alexnet.config import UsageError
from dist_alexnet.doctor import link
from dist_alexnet.telemetry.environment import versions

ANSWER_S = 45.0  # that an answer may take, the start of a process on a busy node included


class Hand:
    """What is done there; an actor of Ray."""

    def address(self) -> str:
        """At which other nodes reach this one."""
        import ray

        found: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
        return found

    def versions(self) -> dict[str, str]:
        """What is installed."""
        return versions()

    def write(self, folder: str, name: str) -> str:
        """Write a file; empty, or why it cannot be done."""
        try:
            Path(folder, name).write_text(secrets.token_hex())
        except OSError as error:
            return f"{error.filename or folder}: {error.strerror}"
        return ""

    def listen(self) -> tuple[str, int, bytes]:
        """Address, port and token at which one caller is answered."""
        host = self.address()
        return host, *link.listen(host)

    def measure(self, host: str, port: int, token: bytes) -> tuple[float, float, str]:
        """Round trip and bytes per second to who listens there; or why it is not to be had."""
        try:
            found = link.measure(host, port, token)
        except OSError as error:
            return 0.0, 0.0, error.strerror or str(error)
        return found.round_trip_s, found.bytes_per_second, ""


@dataclass(frozen=True)
class AtNode:
    """One node."""

    id: str
    name: str
    resources: str  # in words
    hand: Any

    def versions(self) -> dict[str, str]:
        """What is installed there."""
        found: dict[str, str] = self._ask("versions")
        return found

    def write(self, folder: str) -> str:
        """Write a file there whose name is the id of the node; empty, or why it cannot be done."""
        return str(self._ask("write", folder, self.id))

    def listen(self) -> tuple[str, int, bytes]:
        """Have it answer one caller."""
        host, port, token = self._ask("listen")
        return host, port, token

    def measure(self, host: str, port: int, token: bytes) -> link.Link:
        """From there to another (OSError: it does not reach it)."""
        trip, rate, wrong = self._ask("measure", host, port, token)
        if wrong:
            raise OSError(0, wrong)
        return link.Link(trip, rate)

    def _ask(self, what: str, *arguments: Any) -> Any:
        import ray
        from ray.exceptions import RayError

        try:
            return ray.get(getattr(self.hand, what).remote(*arguments), timeout=ANSWER_S)
        except (RayError, TimeoutError) as error:
            told = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            raise UsageError(
                f"{self.name} does not answer ({told}); look at its Ray (`ray status`), and install dist-alexnet there"
            ) from None


@contextmanager
def at_nodes(address: str | None) -> Iterator[list[AtNode]]:
    """A hand on each living node, for the time of the block; nothing where there is no cluster (UsageError: it cannot be joined)."""
    if not address:
        yield []
        return
    session.connect(address)
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    try:
        alive = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        actor = ray.remote(Hand)
        addresses = [node["NodeManagerAddress"] for node in alive]
        yield [
            AtNode(
                node["NodeID"],
                _name(node, addresses),
                ", ".join(f"{node['Resources'].get(name, 0):g} {name}" for name in ("CPU", "GPU")),
                actor.options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(),
            )
            for node in sorted(alive, key=lambda node: node["NodeManagerAddress"])
        ]
    finally:
        ray.shutdown()


def _name(node: Mapping[str, Any], addresses: Sequence[str]) -> str:
    """Its address; of several nodes on one machine the beginning of its number, too."""
    address = str(node["NodeManagerAddress"])
    return address if addresses.count(address) == 1 else f"{address} ({node['NodeID'][:6]})"
