"""Ranks as processes of this machine, under torch elastic: the fast start."""

import logging
import multiprocessing
import os
import signal
import threading
import time
import uuid
from typing import TYPE_CHECKING

from dist_alexnet.training.job import RunDirectory, TrainingFailed
from dist_alexnet.training.launcher import Launcher, RankFunction

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

ORPHAN_POLL_S = 1.0


class LocalLauncher(Launcher):
    """Starts the ranks as processes here."""

    def cuda_devices(self) -> int:
        """Devices that torch sees."""
        import torch

        return torch.cuda.device_count()

    def run(self, function: RankFunction, directory: RunDirectory) -> None:
        """Run the ranks; on failure of one the others are ended."""
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
        from torch.distributed.launcher.api import LaunchConfig, elastic_launch

        for name in ("torch.distributed.elastic", "torch.multiprocessing"):  # they log every failure, and that this is no main thread
            logging.getLogger(name).setLevel(logging.CRITICAL)
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=self.config.ranks,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",  # a free port
            local_addr="127.0.0.1",  # else ranks look for this machine's name, which need not resolve
            max_restarts=0,
            monitor_interval=0.1,
        )
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # of this thread and, inherited, of ranks that still import torch
        try:
            elastic_launch(config, _run_unless_orphaned)(function, os.getpid())
        except ChildFailedError as error:
            raise _explain(error) from error

    def kill(self) -> None:
        """SIGKILL to every child process."""
        for child in multiprocessing.active_children():
            child.kill()


def _run_unless_orphaned(function: RankFunction, parent: int) -> None:
    """Run, and die with the driver: were it killed, its ranks would go on writing to a run that somebody resumes."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(ORPHAN_POLL_S)
        os.kill(os.getpid(), signal.SIGKILL)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal group; it is the driver who asks the ranks to stop
    threading.Thread(target=watch, daemon=True).start()
    function()


def _explain(error: "ChildFailedError") -> TrainingFailed:
    """Name the rank that died of a signal, if one did (elastic itself ends the others with SIGTERM), else the first that failed."""
    for rank, failure in sorted(error.failures.items()):
        if failure.exitcode < 0 and -failure.exitcode != signal.SIGTERM:
            return TrainingFailed(f"rank {rank} was killed by {signal.Signals(-failure.exitcode).name}", killed=True)
    rank, failure = error.get_first_failure()
    return TrainingFailed(f"rank {rank} ended with exit code {failure.exitcode}")
