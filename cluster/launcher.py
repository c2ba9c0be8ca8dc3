"""Ranks as workers of Ray Train: on this machine with a Ray of its own, or on an existing cluster.

Ray places the ranks, starts them and notices when one dies. Nothing else goes through it: a rank writes its metrics, checkpoints and
failure to the run directory, which every node must see.
"""

import os
import pickle
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from cluster import session
from cluster.apart import Apart
from cluster.fit import Fit
from cluster.placement import gpus_per_rank, resources_per_rank, rooms, total
from dist_alexnet.config import LaunchConfig, UsageError
from dist_alexnet.launch.launcher import Capacity, Launcher, RankFunction
from dist_alexnet.launch.room import fitting
from dist_alexnet.machine.surroundings import check_ranks
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.failure import TrainingFailed
from dist_alexnet.runs.scratch import scratch

ASKED_WAIT_S = 5.0  # for the ranks of a cluster to end by themselves; then its driver is killed, and it is the cluster that ends them


def cluster_address(config: LaunchConfig) -> str | None:
    """Of the cluster that a run joins; None: it has a Ray of its own."""
    address = config.address or os.environ.get("RAY_ADDRESS")
    return None if address == "local" else address or None


class RayLauncher(Launcher):
    """Starts ranks through Ray Train."""

    def __init__(self, config: LaunchConfig, together: int = 1) -> None:
        super().__init__(config, together)
        self._address = cluster_address(config)
        self._killed_at: float | None = None
        self._kill_request: Path | None = None
        self._apart: Apart | None = None  # while a run lasts

    @property
    def is_local(self) -> bool:
        """With a Ray of its own."""
        return not self._address

    def cuda_devices(self) -> int:
        """GPUs of the cluster, or, for a Ray of its own, the devices that torch sees."""
        if self._address:
            return int(sum(node.total.get("GPU", 0) for node in session.nodes(self._address)))
        import torch

        return torch.cuda.device_count()

    def check(self) -> None:
        """Refuse what this machine does not let ranks do, or Ray."""
        check_ranks()
        if not self._address:
            session.place_for_sockets()

    def validate(self) -> None:
        """Refuse besides a cluster that is not there or too small: Ray would wait for more nodes, not refuse."""
        self.check()
        if not self._address:
            return
        there, ranks = self.capacity(), self.config.ranks
        if (room := fitting(there.whole, ranks, self.together)) < ranks:
            fewer = f"--gpus {room}, " if room else ""
            raise UsageError(f"{ranks} ranks need {there.words}, room for {room}; type {fewer}--launcher local or another launch.address")

    def capacity(self) -> Capacity:
        """Of the nodes that there are; one that an autoscaler could add is not."""
        if not self._address:
            return super().capacity()
        ranks, rank, nodes = self.config.ranks, self._per_rank(), session.nodes(self._address)
        there = total([node.total for node in nodes], rank)
        return Capacity(
            free=rooms([node.free for node in nodes if not node.leaving], rank),
            whole=rooms([node.total for node in nodes], rank),
            words=f"{total([rank] * ranks, rank)}, but the Ray cluster at {self._address} has {there}",
        )

    def run(self, function: RankFunction, directory: RunDirectory) -> None:
        """Run the ranks; the failure of one ends the others."""
        with ExitStack() as folders:
            storage = folders.enter_context(scratch(".ray-", directory.path))
            # A folder of its own: /tmp/ray belongs to whoever was first on this machine.
            home = storage if self._address else folders.enter_context(scratch(session.PREFIX, Path(session.place_for_sockets())))
            fit = self._fit(function, directory.metrics, home, storage)
            if not self._killed_at:
                self._wait(Apart(fit, directory.log(0).with_name("ray.log")))
        if self._killed_at:
            raise TrainingFailed("stopped at once, without a checkpoint", killed=True)

    def kill(self) -> None:
        """End a Ray of our own; ask the ranks of a cluster to die, through a file that each of them looks for."""
        self._killed_at = self._killed_at or time.monotonic()
        if self._kill_request:
            with suppress(OSError):  # the run has just ended, or its folder is gone
                self._kill_request.touch()
        if (apart := self._apart) and (not self._address or time.monotonic() > self._killed_at + ASKED_WAIT_S):
            apart.end()

    def _wait(self, apart: Apart) -> None:
        self._apart = apart
        try:
            for self.outlook in apart.told():
                pass
        except TrainingFailed:
            if not self._killed_at:
                raise
        finally:
            self._apart = None
            apart.end()

    def _per_rank(self) -> dict[str, float]:
        share = self.config.share_device
        return resources_per_rank(self.config.device, gpus_per_rank(self.cuda_devices(), self.config.ranks, share) if share else 1.0)

    def _fit(self, function: RankFunction, metrics: Path, home: Path, storage: Path) -> Fit:
        cuda = self.config.device == "cuda"
        self._kill_request = storage / "kill"
        return Fit(
            function=pickle.dumps(function),
            ranks=self.config.ranks,
            cuda=cuda,
            per_rank=self._per_rank(),
            together=self.together,
            threads=self.config.threads,
            interface=self.config.interface,
            address=self._address,
            gpus=min(self.config.ranks, self.cuda_devices()) if cuda and not self._address else 0,
            home=home,
            storage=storage,
            kill_request=self._kill_request,
            metrics=metrics,
        )
