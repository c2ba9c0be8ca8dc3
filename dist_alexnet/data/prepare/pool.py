"""Work spread over processes, the results in the order of the work."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from dist_alexnet.config import UsageError
from dist_alexnet.machine.cores import available_cores, thread_variables
from dist_alexnet.machine.surroundings import check_processes

Result = TypeVar("Result")
MAX_WORKERS = 1024  # processes; more is a slip of the keyboard
AHEAD, MOST_AHEAD = 16, 256  # pieces of work, per process and in all, that may wait or be done: nobody idles while a shard is written


def in_order(function: Callable[..., Result], work: Iterable[tuple[Any, ...]], processes: int) -> Iterator[Result]:
    """`function(*arguments)` for each item of the work; with one process, in this one.

    Raises:
        UsageError: a process was killed.
    """
    if processes == 1:
        yield from (function(*arguments) for arguments in work)
        return
    check_processes()
    waiting: deque[Future[Result]] = deque()
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_begin)
    try:
        for arguments in work:
            waiting.append(pool.submit(function, *arguments))
            if len(waiting) >= max(min(AHEAD * processes, MOST_AHEAD), 2 * processes):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise UsageError(
            f"one of {processes} worker processes was killed, perhaps for want of memory; what is written stays: "
            "run this again, with fewer --workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def settle_workers(workers: int | None) -> int:
    """As many processes as asked for, by default one per core (UsageError: that makes no sense)."""
    workers = workers if workers is not None else available_cores()
    if not 1 <= workers <= MAX_WORKERS:
        raise UsageError(f"--workers {workers}: must be from 1 to {MAX_WORKERS:,}")
    return workers


def _begin() -> None:
    """Leave interrupts to the parent, and the other cores to the other processes; torch is loaded with the first piece of work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(thread_variables(1))
