"""Two machines with a network between them, and trainings on a Ray cluster that spans both."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from cluster.testing.network import Node, Unavailable, network
from cluster.testing.ray_nodes import RayNodes
from dist_alexnet.runs.directory import RunDirectory
from tests.conftest import Command
from tests.orchestration.test_local_runs import tensors

PACKETS = 1000
HEAR = """
import socket
hearing = socket.socket(type=socket.SOCK_DGRAM)
hearing.setsockopt(socket.SOL_SOCKET, 33, 2**22)  # SO_RCVBUFFORCE: else a busy machine loses some, too
hearing.bind(("", 5000))
hearing.settimeout(1)
print(flush=True)
heard = 0
try:
    while hearing.recv(9):
        heard += 1
except TimeoutError:
    print(heard)
"""
CALL = """
import socket, sys, time
calling = socket.socket(type=socket.SOCK_DGRAM)
for _ in range(int(sys.argv[2])):
    calling.sendto(b"x", (sys.argv[1], 5000))
    time.sleep(1e-5)
"""


@pytest.fixture(scope="module", name="nodes")
def fixture_nodes() -> Iterator[list[Node]]:
    try:
        with network(2) as nodes:
            yield nodes
    except Unavailable as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module", name="ray")
def fixture_ray(nodes: list[Node]) -> RayNodes:
    """One slot on each node."""
    ray = RayNodes(nodes, slots=1)
    ray.begin()
    return ray


def heard(caller: Node, hearer: Node) -> int:
    """How many packets arrive."""
    hearing = hearer.start(sys.executable, "-c", HEAR, stdout=subprocess.PIPE)
    assert hearing.stdout
    hearing.stdout.readline()
    caller.run(sys.executable, "-c", CALL, hearer.name, str(PACKETS), check=True)
    return int(hearing.communicate()[0])


def losing(nodes: list[Node], share: float) -> None:
    try:
        for node in nodes:
            node.lose(share)
    except Unavailable as missing:
        pytest.skip(str(missing))


def test_nodes_lose_packets_links_and_power_and_nothing_is_left_of_them() -> None:
    """What the other tests stand on."""
    before = socket.if_nameindex()
    try:
        with network(2) as (one, two):
            assert one.run("hostname").stdout == "node1\n"
            assert heard(one, two) == PACKETS
            losing([two], 0.5)
            assert 0.35 * PACKETS < heard(one, two) < 0.65 * PACKETS
            two.cut_off()
            assert heard(one, two) == 0
            two.give_back()
            two.lose(0)
            assert heard(one, two) == PACKETS
            sleeping = two.start("sleep", "600")
            two.end()
            assert sleeping.wait() == -signal.SIGKILL
            two.begin()
            assert heard(one, two) == PACKETS
            assert two.processes() == []
            running = one.start("sleep", "600")
        assert running.wait() == -signal.SIGKILL
    except Unavailable as missing:
        pytest.skip(str(missing))
    assert socket.if_nameindex() == before


def train(ray: RayNodes, workplace: Path, name: str, *typed: str) -> "subprocess.CompletedProcess[str]":
    """On the head, with a rank on each node."""
    arguments = ["-c", "tiny.yaml", "--name", name, "--launcher", "ray", f"launch.address={ray.address}", "launch.threads=1", *typed]
    return ray.run("train", *arguments, cwd=workplace)


@pytest.fixture(scope="module", name="undisturbed")
def fixture_undisturbed(workplace: Path, dist_alexnet: Command) -> dict[str, torch.Tensor]:
    """Weights and momentum of the local launcher."""
    done = dist_alexnet("train", "-c", "tiny.yaml", "--name", "on-one-machine", "launch.threads=1")
    assert done.returncode == 0, done.stderr
    return tensors(workplace / "runs" / "on-one-machine")


def assert_equal(mine: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert mine.keys() == expected.keys()
    assert [name for name, tensor in expected.items() if not torch.equal(mine[name], tensor)] == []


def test_two_nodes_that_lose_packets_end_with_the_bits_of_one_machine(
    ray: RayNodes, workplace: Path, undisturbed: dict[str, torch.Tensor]
) -> None:
    """2 % are lost each way. The nodes' names stand for addresses of their loopback, as on Debian: by itself gloo would take these."""
    losing(ray.nodes, 0.02)
    sent = ray.head.bytes_sent("eth1")
    done = train(ray, workplace, "on-two-nodes", "--json")
    assert done.returncode == 0, done.stderr
    run = workplace / "runs" / "on-two-nodes"
    assert_equal(tensors(run), undisturbed)
    assert ray.head.bytes_sent("eth1") == sent
    assert not list(run.glob(".ray-*"))
    assert {path.name for path in RunDirectory(run).log(0).parent.iterdir()} == {"rank_0.log", "rank_1.log"}


@pytest.mark.slow
def test_ranks_talk_through_the_interface_that_is_named(ray: RayNodes, workplace: Path, undisturbed: dict[str, torch.Tensor]) -> None:
    before = ray.head.bytes_sent("eth1")
    done = train(ray, workplace, "second-network", "launch.interface=eth1")
    assert done.returncode == 0, done.stderr
    assert_equal(tensors(workplace / "runs" / "second-network"), undisturbed)
    assert ray.head.bytes_sent("eth1") - before > 12 * 4000, "a third of what a step sends, at least"
    done = train(ray, workplace, "no-network", "launch.interface=ib0")
    assert "error: launch.interface=ib0: node node" in done.stderr
    assert "type one of lo, eth0, eth1" in done.stderr
    assert done.returncode == 2
