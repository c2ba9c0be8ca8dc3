"""Nodes on one machine: each has its own network, name, processes, shared memory and /run, and all share the other files.

A node is a set of namespaces (Linux), which have no names on this machine: they live as long as the first process in them. That ends when
the pipe from here closes, however we end; then the kernel kills what else runs in the node, and removes its links. The switch is such a
node, too, so traffic and addresses stay inside.

    node1  eth0 10.77.0.1 ---- p0-1 \\
                                      br0    the first network, which the names of nodes stand for
    node2  eth0 10.77.0.2 ---- p0-2 /
    ...    eth1 10.77.1.1 and so on, on br1  the second
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

NETWORKS = 2
KINDS = tuple(f"--{kind}" for kind in ("net", "uts", "ipc", "mount", "pid"))
# Buries orphans, and waits.
FIRST = "import signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); print(flush=True); sys.stdin.read()"
SETTLE = """set -e
hostname "$1"
mount -t tmpfs -o mode=1777,size=512m none /dev/shm
mount -t tmpfs -o mode=755,size=512m none /run
printf '%s' "$2" > /run/hosts
mount --bind /run/hosts /etc/hosts
ip link set lo up
exec "$3" -S -c "$4"
"""
# Classic BPF: load a random word, pass if it is large enough, else drop. Fewer kernels have netem, which could do it, too.
LOSE = "4,32 0 0 4294963256,53 0 1 {limit},6 0 0 0,6 0 0 2"
TOOLS = {"unshare": "util-linux", "nsenter": "util-linux", "hostname": "hostname", "ip": "iproute2", "tc": "iproute2"}

Running = subprocess.Popen[str]


class Unavailable(RuntimeError):  # noqa: N818 - no error: of this machine nothing else was to be expected
    """Nodes cannot be made here; the message says what is missing."""


class Space:
    """Namespaces, and the first process in them."""

    def __init__(self, name: str, hosts: str) -> None:
        """`name`: of the machine that they look like; `hosts`: its table of names."""
        self.name, self._hosts = name, hosts
        self._keeper: Running | None = None
        self.pid = 0  # of the first process, seen from outside

    def begin(self) -> None:
        """Switch it on (Unavailable: that is not allowed here)."""
        settle = ["sh", "-c", SETTLE, "sh", self.name, self._hosts, sys.executable, FIRST]
        command, pipe = ["unshare", *KINDS, "--fork", "--kill-child", "--mount-proc", *settle], subprocess.PIPE
        self._keeper = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        assert self._keeper.stdout
        if not self._keeper.stdout.readline():
            raise Unavailable(f"no namespaces here ({self._keeper.communicate()[1].strip()}); be root where they are allowed")
        self.pid = _only_child(self._keeper.pid)

    def end(self) -> None:
        """Switch it off: kill all that runs inside, and wait until it is gone. It may be off."""
        if self._keeper:
            self._keeper.communicate()  # closes its input
            self._keeper = None

    def start(self, *command: str, cwd: Path | None = None, **options: Any) -> Running:
        """Start a command inside; `options` as of Popen. What is returned waits for the command, and gets no signals for it."""
        return subprocess.Popen(self._inside(command, cwd), text=True, **options)

    @staticmethod
    def send(running: Running, number: int) -> None:
        """Send a signal to a command that was started inside."""
        os.kill(_only_child(running.pid), number)

    def run(self, *command: str, cwd: Path | None = None, **options: Any) -> "subprocess.CompletedProcess[str]":
        """Run a command inside to its end; `options` as of `subprocess.run`. Output is captured."""
        return subprocess.run(self._inside(command, cwd), text=True, capture_output=True, **options)

    def processes(self) -> list[int]:
        """What lives inside besides the first, by the numbers that they have outside."""
        return [pid for pid in _of_namespace(os.stat(f"/proc/{self.pid}/ns/pid").st_ino) if pid != self.pid]

    def command_lines(self) -> list[str]:
        """Of what lives inside."""
        found = []
        for pid in self.processes():
            with suppress(OSError):
                found.append(Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip())
        return found

    def set_up(self, *commands: str) -> None:
        """Run commands of `ip` and `tc` on the network inside (CalledProcessError: one fails). No word has a space in it."""
        for command in commands:
            subprocess.run(["nsenter", "--target", str(self.pid), "--net", *command.split()], check=True, capture_output=True)

    def _inside(self, command: tuple[str, ...], cwd: Path | None) -> list[str]:
        return ["nsenter", "--target", str(self.pid), *KINDS, "env", f"--chdir={cwd or Path.cwd()}", *command]


class Node(Space):
    """A machine of the network."""

    def __init__(self, switch: Space, number: int, hosts: str) -> None:
        """`number`: from 1; `hosts`: the table of names, in which its own stands for an address of its loopback, as Debian has it."""
        super().__init__(node_name(number), hosts.replace(f"{address(number)} ", "127.0.1.1 "))
        self.number, self._switch = number, switch
        self._ports = {f"eth{net}": f"p{net}-{number}" for net in range(NETWORKS)}

    @property
    def address(self) -> str:
        """On the first network."""
        return address(self.number)

    def begin(self) -> None:
        """Switch it on, with its links."""
        super().begin()
        for net, (link, port) in enumerate(self._ports.items()):
            end = f"{link} address 02:00:00:00:{net:02x}:{self.number:02x}"  # the same after each start: others remember it
            self._switch.set_up(f"ip link add {port} type veth peer name {end} netns {self.pid}", f"ip link set {port} master br{net} up")
            self.set_up(f"ip addr add {address(self.number, net)}/24 dev {link}", f"ip link set {link} up")

    def end(self) -> None:
        """Switch it off. Whoever talks to it is told that its processes have ended; `cut_off` first for a node without power."""
        super().end()
        for port in self._ports.values():  # else it may be there when the node is switched on again
            with suppress(subprocess.CalledProcessError):
                self._switch.set_up(f"ip link del {port}")

    def cut_off(self) -> None:
        """Take its links down at the switch: what is sent is lost without a word, both ways."""
        self._switch.set_up(*(f"ip link set {port} down" for port in self._ports.values()))

    def give_back(self) -> None:
        """Its links are up again."""
        self._switch.set_up(*(f"ip link set {port} up" for port in self._ports.values()))

    def slow(self, rate: str, links: Collection[str] = ("lo", "eth0", "eth1")) -> None:
        """Let through no more than `rate`, as `tc` writes it ("100mbit"), each way."""
        limit = f"root tbf rate {rate} burst 128kb latency 200ms"
        self.set_up(*(f"tc qdisc replace dev {link} {limit}" for link in links))
        self._switch.set_up(*(f"tc qdisc replace dev {port} {limit}" for link, port in self._ports.items() if link in links))

    def lose(self, share: float) -> None:
        """Lose a share of the packets that come in, which are then no larger than on a wire (Unavailable: the kernel has no filters)."""
        try:
            for link, port in self._ports.items():
                self._switch.set_up(f"ip link set {port} gso_max_segs 1")
                self.set_up(f"ip link set {link} gso_max_segs 1", f"tc qdisc replace dev {link} clsact")
                bytecode = LOSE.format(limit=int(share * 2**32))
                add = f"nsenter --target {self.pid} --net tc filter replace dev {link} ingress prio 1 handle 1 bpf da bytecode"
                subprocess.run([*add.split(), bytecode], check=True, capture_output=True)
        except subprocess.CalledProcessError as error:
            raise Unavailable(f"this kernel cannot lose packets: {error.stderr.decode().strip()}") from error

    def bytes_sent(self, link: str = "eth0") -> int:
        """Through one of its links, since it was switched on."""
        table = Path(f"/proc/{self.pid}/net/dev").read_text()
        return int(table.partition(f"{link}:")[2].split()[8])


@contextmanager
def network(nodes: int) -> Iterator[list[Node]]:
    """So many nodes, for the time of the block.

    Raises:
        Unavailable: it says what is missing.
    """
    for tool, package in TOOLS.items():
        if not shutil.which(tool):
            raise Unavailable(f"no {tool} on the PATH; install {package}")
    numbers = range(1, nodes + 1)
    hosts = "127.0.0.1 localhost\n" + "".join(f"{address(number)} {node_name(number)}\n" for number in numbers)
    with ExitStack() as switched_on:
        switch = Space("switch", hosts)
        switched_on.callback(switch.end)
        switch.begin()
        made = [Node(switch, number, hosts) for number in numbers]
        try:
            switch.set_up(*(f"ip link add br{net} up type bridge" for net in range(NETWORKS)))
            for node in made:
                switched_on.callback(node.end)
                node.begin()
        except subprocess.CalledProcessError as error:
            raise Unavailable(f"no links between namespaces here: {error.stderr.decode().strip()}") from error
        yield made


def address(number: int, net: int = 0) -> str:
    """Of a node on a network."""
    return f"10.77.{net}.{number}"


def node_name(number: int) -> str:
    """Of a node."""
    return f"node{number}"


def _only_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text())


def _of_namespace(inode: int) -> Iterator[int]:
    """Processes of a PID namespace that are not waiting to be buried."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (folder / "ns/pid").stat().st_ino == inode and (folder / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
                yield int(folder.name)
