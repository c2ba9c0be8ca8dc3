"""Two machines with a network between them, and trainings on a Ray cluster that spans both."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.testing.network import Node, Unavailable, network
from cluster.testing.ray_nodes import RayNodes
from tests.conftest import Command
from tests.orchestration.chaos import assert_undisturbed, kill_rank
from tests.orchestration.runs import has_logged, wait_until

PACKETS = 1000
STEPS = 12  # two epochs
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
    ray = RayNodes(nodes, slots=[1, 1])
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


def train(ray: RayNodes, workplace: Path, name: str, *typed: str) -> str:
    """With a rank on each node, to the end."""
    run = ray.train("-c", "tiny.yaml", "--name", name, *typed, cwd=workplace)
    output = run.communicate()[0]
    assert run.returncode == 0, output
    return output


@pytest.fixture(scope="module", name="undisturbed")
def fixture_undisturbed(workplace: Path, dist_alexnet: Command) -> Path:
    """A run of the local launcher."""
    done = dist_alexnet("train", "-c", "tiny.yaml", "--name", "on-one-machine", "launch.threads=1")
    assert done.returncode == 0, done.stderr
    return workplace / "runs" / "on-one-machine"


@pytest.mark.slow  # a head and two attempts take minutes on two busy cores
def test_two_nodes_that_lose_packets_and_a_rank_end_with_the_bits_of_one_machine(
    ray: RayNodes, nodes: list[Node], workplace: Path, undisturbed: Path
) -> None:
    """2 % are lost each way. The nodes' names stand for addresses of their loopback, as on Debian: by itself gloo would take these."""
    losing(nodes, 0.02)
    sent = ray.head.bytes_sent("eth1")
    run = ray.train("-c", "tiny.yaml", "--name", "on-two-nodes", "--max-failures", "1", cwd=workplace)
    folder = workplace / "runs" / "on-two-nodes"
    wait_until(run, lambda: has_logged(folder, '"step": 4,'))
    kill_rank(lambda: [pid for node in nodes for pid in node.processes()], folder, 1)
    output = run.communicate()[0]
    assert run.returncode == 0, output
    assert "(failure 1 of 1 that are forgiven); going on from step 3" in output
    assert_undisturbed(folder, undisturbed, STEPS)
    assert ray.head.bytes_sent("eth1") - sent < 4000, "the little that the kernel says by itself"
    assert not list(folder.glob(".ray-*"))


@pytest.mark.slow
def test_ranks_talk_through_the_interface_that_is_named_and_wait_for_a_slow_one(
    ray: RayNodes, nodes: list[Node], workplace: Path, undisturbed: Path
) -> None:
    """1 Mbit/s: a step's 14 kB take a tenth of a second."""
    before = ray.head.bytes_sent("eth1")
    for node in nodes:
        node.slow("1mbit", links=("eth1",))
    train(ray, workplace, "second-network", "launch.interface=eth1")
    assert_undisturbed(workplace / "runs" / "second-network", undisturbed, STEPS)
    assert ray.head.bytes_sent("eth1") - before > STEPS * 4000, "more than half of what the two send, both ways"
    run = ray.train("-c", "tiny.yaml", "--name", "no-network", "--max-failures", "1", "launch.interface=ib0", cwd=workplace)
    output = run.communicate()[0]
    assert "launch.interface=ib0: node node" in output
    assert "has no such network interface; type one of lo, eth0, eth1" in output
    assert "forgiven" not in output, "another attempt would meet the same"
    assert run.returncode == 1


@pytest.mark.slow
def test_two_runs_at_once_on_a_cluster_do_not_know_each_other(ray: RayNodes, nodes: list[Node], workplace: Path, undisturbed: Path) -> None:
    """The second waits for the first, whose ranks take all slots."""
    first = ray.train("-c", "tiny.yaml", "--name", "at-once", "--max-steps", "300", "train.epochs=1000", cwd=workplace)
    wait_until(first, lambda: has_logged(workplace / "runs" / "at-once", '"kind": "start"'))
    train(ray, workplace, "waited", "--wait", "300")
    assert_undisturbed(workplace / "runs" / "waited", undisturbed, STEPS)
    output = first.communicate()[0]
    assert first.returncode == 0, output
