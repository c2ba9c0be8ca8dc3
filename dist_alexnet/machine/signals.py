"""Signals that reach whole process groups, kept from all processes but the one that answers them."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

INSISTING = {signal.SIGINT, signal.SIGTERM, signal.SIGQUIT}  # sent once more they mean: at once
WARNING = {signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU}  # the end is near; some systems repeat them each second
# They reach the whole process group, or all processes of a batch job, and it is the driver who asks the ranks to stop: everything that
# it starts blocks them from its first moment. Those of job control are not among them: Ctrl-Z stops all processes, and `fg` continues them.
LEFT_TO_DRIVER = INSISTING | WARNING


@contextmanager
def blocked() -> Iterator[None]:
    """Block them in this thread and, inherited, in what it starts, multiprocessing's tracker included, from the first moment."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, LEFT_TO_DRIVER)
    resource_tracker.ensure_running()  # now, because its start unblocks two of them again (Python 3.11)
    signal.pthread_sigmask(signal.SIG_BLOCK, LEFT_TO_DRIVER)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
