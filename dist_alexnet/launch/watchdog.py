"""Where a rank is that does not come: its stacks, in its own log, a moment before those that wait for it give up."""

import faulthandler
import time

SHARE = 0.9  # of the timeout of a collective
FRESH = 0.05  # of it: so long the thread that waits is not replaced by another, which takes up to a millisecond
STDERR = 2  # the rank's log

_since = -float("inf")  # when the thread that waits was started


def alive(timeout_s: float) -> None:
    """This rank has just heard from all others. Unless it says so again in time, the stacks of its threads are printed.

    By a thread of C, which needs neither this thread nor Python's lock: a rank that hangs in a library says where, too.
    """
    global _since
    if (now := time.monotonic()) - _since > FRESH * timeout_s:
        _since = now
        faulthandler.dump_traceback_later(SHARE * timeout_s, file=STDERR)


def done() -> None:
    """Nobody waits for this rank any more."""
    global _since
    _since = -float("inf")
    faulthandler.cancel_dump_traceback_later()
