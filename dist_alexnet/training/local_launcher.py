"""Ranks as processes of this machine, under torch elastic: the fast start."""

import logging
import multiprocessing
import os
import signal
import threading
import uuid
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING

from dist_alexnet.surroundings import check_ranks
from dist_alexnet.training.job import RunDirectory, TrainingFailed
from dist_alexnet.training.launcher import Launcher, RankFunction

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

ORPHAN_POLL_S = 1.0
LEFT_TO_DRIVER = {signal.SIGINT, signal.SIGTERM}  # they reach the whole process group, and it is the driver who asks the ranks to stop


class LocalLauncher(Launcher):
    """Starts the ranks as processes here."""

    def validate(self) -> None:
        """Refuse what this machine does not let ranks do."""
        check_ranks()

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
        resource_tracker.ensure_running()  # now, because its start unblocks these signals again (Python 3.11)
        signal.pthread_sigmask(signal.SIG_BLOCK, LEFT_TO_DRIVER)  # of this thread and, inherited, of the ranks from their first moment
        try:
            elastic_launch(config, _run_unless_orphaned)(function, os.getpid())
        except ChildFailedError as error:
            raise _explain(error) from error

    def kill(self) -> None:
        """SIGKILL to every child process."""
        for child in multiprocessing.active_children():
            child.kill()


def _run_unless_orphaned(function: RankFunction, parent: int) -> None:
    """Run, and die with the driver: were it killed, its ranks would go on writing to a run that somebody resumes.

    Die too when the driver sends SIGTERM, which is how elastic ends the others when a rank has failed. From anybody else it is ignored.
    """

    def watch() -> None:
        while os.getppid() == parent:
            sent = signal.sigtimedwait(LEFT_TO_DRIVER, ORPHAN_POLL_S)
            if sent and (sent.si_signo, sent.si_pid) == (signal.SIGTERM, parent):
                break
        os.kill(os.getpid(), signal.SIGKILL)

    signal.pthread_sigmask(signal.SIG_BLOCK, LEFT_TO_DRIVER)  # of all threads of a rank, so that `watch` gets them
    threading.Thread(target=watch, daemon=True).start()
    function()


def _explain(error: "ChildFailedError") -> TrainingFailed:
    """Name the rank that failed first; elastic has ended the others."""
    rank, failure = error.get_first_failure()
    if failure.exitcode < 0:
        return TrainingFailed(f"rank {rank} was killed by {signal.Signals(-failure.exitcode).name}", killed=True)
    return TrainingFailed(f"rank {rank} ended with exit code {failure.exitcode}")
