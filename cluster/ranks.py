"""What runs in Ray's own processes: the controller prepares the ranks as torchrun would, then each rank runs its function.

Unlike Ray's TorchConfig it leaves the process group to the rank. So ranks are the same under every launcher, the controller need
not import torch (2 to 3 s on two cores), and a failed run does not wait for Ray to destroy the group of ranks that are gone.
"""

import errno
import os
import pickle
import signal
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import ray
import ray.train
from ray.train.backend import Backend, BackendConfig

from cluster import interface
from cluster.export import Export
from dist_alexnet.launch.fate import die_with_parent
from dist_alexnet.launch.loopback import LOOPBACK, open_store, variables
from dist_alexnet.machine.cores import share_of_cores, thread_variables

POLL_S = 0.2
HELD: list[socket.socket] = []  # in rank 0: where its store will listen


class RankBackend(Backend):
    """Sets the five variables that a rank reads, and how many threads its libraries use when they are loaded."""

    share_cuda_visible_devices = True  # a rank sees the devices of all ranks on its node: device LOCAL_RANK exists and is its own

    def on_start(self, worker_group, backend_config) -> None:  # type: ignore[no-untyped-def]  # Ray has no public type for the group
        """Called in the controller once all processes are up."""
        address, port = worker_group.execute_single(0, _hold_address)
        worker_group.execute(_set_environment, address, port, backend_config.threads)


@dataclass
class RankConfig(BackendConfig):
    """Chooses RankBackend.

    Args:
        threads: of each rank; 0: the cores of its node, shared.
    """

    threads: int = 0

    @property
    def backend_cls(self) -> type[Backend]:
        """The backend."""
        return RankBackend


def run_rank(function: bytes, kill_request: Path, own: bool, metrics: Path, wanted: str | None) -> None:
    """Run the function of a rank, and die when the file `kill_request` appears, its folder goes or, of a Ray of our own, with Ray.

    A file, because the driver has no handle on the processes: they are the controller's. And `ray.shutdown` beside a waiting `fit`
    aborted the driver in 1 of 7 tries (Ray 2.60). What is said in the file `metrics` is published on a cluster, where
    ranks talk through the interface that is `wanted`.
    """
    if own:
        die_with_parent()
    threading.Thread(target=_die_when_asked, args=(kill_request,), daemon=True).start()
    if not own:
        os.environ.update(interface.variables(wanted, ray.util.get_node_ip_address()))  # type: ignore[no-untyped-call]
    store = open_store(HELD.pop(), os.environ["MASTER_ADDR"]) if HELD else None
    export = None if own else Export(metrics, int(os.environ["RANK"]))
    if export:
        export.start()
    pickle.loads(function)()
    if export:
        export.finish()
    del store  # which has served the others until here


def _over(kill_request: Path) -> bool:
    try:
        return kill_request.exists() or not kill_request.parent.exists()
    except OSError as error:  # a file server that does not answer now, or that says so of a folder that was deleted
        return error.errno == errno.ESTALE


def _die_when_asked(kill_request: Path) -> None:
    while not _over(kill_request):
        time.sleep(POLL_S)
    os.kill(os.getpid(), signal.SIGKILL)


def _hold_address() -> tuple[str, int]:
    """Where rank 0 can be reached. It listens from here on, so that nobody takes the port before torch has been imported."""
    address: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    ours = interface.interface_of(address)  # else it is translated on the way here
    HELD[:] = [socket.create_server((address if ours else "", 0), family=family)]
    return address, HELD[0].getsockname()[1]


def _set_environment(address: str, port: int, threads: int) -> None:
    context = ray.train.get_context()
    os.environ.update(thread_variables(threads or share_of_cores(context.get_local_world_size())))  # Ray says 1
    os.environ["RANK"] = str(context.get_world_rank())
    os.environ["WORLD_SIZE"] = str(context.get_world_size())
    os.environ["LOCAL_RANK"] = str(context.get_local_rank())
    os.environ["MASTER_ADDR"] = address
    os.environ["MASTER_PORT"] = str(port)
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"  # rank 0 opens the store before torch would, on the port that it holds
    if address == LOOPBACK:
        os.environ.update(variables())
