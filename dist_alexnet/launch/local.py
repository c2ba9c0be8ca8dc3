"""Ranks as processes of this machine, under torch elastic: the fast start."""

import logging
import os
import pickle
import signal
import socket
import threading
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING

from dist_alexnet.launch import loopback
from dist_alexnet.launch.fate import die_with_parent
from dist_alexnet.launch.launcher import Launcher, RankFunction
from dist_alexnet.machine.cores import share_of_cores, thread_variables
from dist_alexnet.machine.signals import LEFT_TO_DRIVER, blocked
from dist_alexnet.machine.surroundings import check_ranks
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.failure import RankFailure, TrainingFailed

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing import PContext, RunProcsResult

POLL_S = 0.1
ORPHAN_POLL_S = 1.0


class LocalLauncher(Launcher):
    """Starts the ranks as processes here."""

    _context: "PContext | None" = None  # of the ranks, while they run

    def check(self) -> None:
        """Refuse what this machine does not let ranks do."""
        check_ranks()

    def cuda_devices(self) -> int:
        """Devices that torch sees."""
        import torch

        return torch.cuda.device_count()

    def run(self, function: RankFunction, directory: RunDirectory) -> None:
        """Run the ranks; on failure of one the others are ended."""
        from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, start_processes

        for name in ("torch.distributed.elastic", "torch.multiprocessing"):  # they log every failure, and that this is no main thread
            logging.getLogger(name).setLevel(logging.CRITICAL)
        ranks = range(self.config.ranks)
        store = loopback.open_store(socket.create_server((loopback.LOOPBACK, 0)))
        os.environ.update(thread_variables(self.config.threads or share_of_cores(len(ranks))))  # ranks inherit it
        with blocked():
            self._context = start_processes(
                "rank",
                _run_unless_orphaned,
                args={rank: (pickle.dumps(function), directory, os.getpid()) for rank in ranks},
                envs={rank: _environment(rank, len(ranks), store.port) for rank in ranks},
                logs_specs=DefaultLogsSpecs(log_dir=os.devnull),  # else it leaves a folder in the temporary one
            )
            try:
                result = self._context.wait(period=POLL_S)
            finally:
                self._context.close(signal.SIGKILL)
                self._context = None
        if result and result.failures:
            raise _explain(result)

    def kill(self) -> None:
        """SIGKILL to every rank."""
        for pid in self._context.pids().values() if self._context else ():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _environment(rank: int, ranks: int, port: int) -> dict[str, str]:
    """What a rank reads. The store of the process group is ours: its port cannot be taken by others before rank 0 opens it."""
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "MASTER_PORT": port}
    return {name: str(number) for name, number in numbers.items()} | {
        "MASTER_ADDR": loopback.LOOPBACK,  # else ranks look for this machine's name, which need not resolve
        "TORCHELASTIC_RESTART_COUNT": "0",
        **loopback.variables(),
    }


def _run_unless_orphaned(function: bytes, directory: RunDirectory, parent: int) -> None:
    """Run, and die with the driver: were it killed, its ranks would go on writing to a run that somebody resumes.

    Die too when the driver sends SIGTERM, which is how elastic ends the others when a rank has failed. From anybody else it is ignored,
    but SIGXCPU from the kernel: the limit of CPU time is each process's own, and a rank is the first to reach it.
    """

    def watch() -> None:
        while os.getppid() == parent:
            sent = signal.sigtimedwait(LEFT_TO_DRIVER, ORPHAN_POLL_S)
            if sent and (sent.si_signo, sent.si_pid) == (signal.SIGTERM, parent):
                break
            if sent and (sent.si_signo, sent.si_pid) == (signal.SIGXCPU, 0):
                os.kill(parent, signal.SIGXCPU)
        os.kill(os.getpid(), signal.SIGKILL)

    die_with_parent()
    signal.pthread_sigmask(signal.SIG_BLOCK, LEFT_TO_DRIVER)  # of all threads of a rank, so that `watch` gets them
    threading.Thread(target=watch, daemon=True).start()
    _load(function, directory, int(os.environ["RANK"]))()


def _load(function: bytes, directory: RunDirectory, rank: int) -> RankFunction:
    """Read what a rank is to do, which imports torch, DALI and more: what they print, or raise, is for its log, not for the terminal."""
    with directory.log(rank).open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    try:
        loaded: RankFunction = pickle.loads(function)
    except BaseException as error:
        traceback.print_exc()
        RankFailure.record(directory, rank, error)
        raise
    return loaded


def _explain(result: "RunProcsResult") -> TrainingFailed:
    """Name the rank that failed first; elastic has ended the others."""
    rank, failure = next(iter(result.failures.items()))
    if failure.exitcode < 0:
        return TrainingFailed(f"rank {rank} was killed by {signal.Signals(-failure.exitcode).name}", killed=True)
    return TrainingFailed(f"rank {rank} ended with exit code {failure.exitcode}")
