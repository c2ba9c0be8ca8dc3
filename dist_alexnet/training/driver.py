"""The person's side of a run: check everything, start the ranks, follow them, relay signals, say how it ended."""

import atexit
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from dist_alexnet.config import UsageError
from dist_alexnet.data.image_set import TooManyBadImages
from dist_alexnet.training.job import NonFiniteLoss, RankFailure, RunDirectory, TrainingFailed
from dist_alexnet.training.launcher import Launcher, RankFunction

POLL_S = 0.1
REPEAT_S = 0.5  # `timeout` and some batch systems send one signal twice, to the process and to its group: that is not asking twice
KILL_WAIT_S = 10.0  # for ranks that were killed to end
FULL_DISK_BYTES = 2**16

Record = dict[str, Any]


class Signals:
    """The first SIGINT or SIGTERM asks the ranks for a checkpoint, if they write any; each further one ends them."""

    def __init__(self, directory: RunDirectory, launcher: Launcher, saves: bool) -> None:
        self.received: int | None = None
        self.killed_at: float | None = None
        self._directory, self._launcher, self._saves = directory, launcher, saves
        self._first_at = 0.0

    @property
    def given_up(self) -> bool:
        """The ranks were killed and have had their time to end."""
        return self.killed_at is not None and time.monotonic() > self.killed_at + KILL_WAIT_S

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Take the signals over for the time of a run; only the main thread can."""
        before = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received, self._first_at = number, time.monotonic()
            self._directory.stop_request.touch()
        if not self._saves or time.monotonic() > self._first_at + REPEAT_S:
            self.killed_at = self.killed_at or time.monotonic()
            self._launcher.kill()


class Ranks(threading.Thread):
    """The launcher at work. In a thread of its own: the main one takes the signals."""

    def __init__(self, function: RankFunction, directory: RunDirectory, launcher: Launcher) -> None:
        super().__init__(name="ranks", daemon=True)
        self.error: BaseException | None = None
        self._function, self._directory, self._launcher = function, directory, launcher

    def run(self) -> None:
        """Run the ranks; what went wrong is left in `error`."""
        try:
            self._launcher.run(self._function, self._directory)
        except BaseException as error:  # handed to the main thread
            self.error = error


def execute(
    function: RankFunction,
    directory: RunDirectory,
    launcher: Launcher,
    follow: Callable[[Record], None],
    say: Callable[[str], None],
    saves: bool = True,
) -> tuple[Record, int]:
    """Run a function on all ranks to its end.

    Args:
        function: leaves `summary.json` in the directory, as `train_rank` and `evaluate_rank` do.
        directory: of the run.
        launcher: of the ranks.
        follow: called with each new record of metrics.jsonl, as it appears.
        say: called with a line for the person.
        saves: the function heeds a request to stop, and leaves a checkpoint; otherwise the first signal ends the ranks.

    Returns:
        The summary, and the exit code: 0, or 130 or 143 if a signal stopped the run after a checkpoint.

    Raises:
        TrainingFailed: a rank failed, or the run was stopped without a checkpoint.
    """
    directory.summary.unlink(missing_ok=True)
    seen = directory.metrics.stat().st_size if directory.metrics.exists() else 0
    signals, ranks, told = Signals(directory, launcher, saves), Ranks(function, directory, launcher), False
    with signals.handled():
        ranks.start()
        while ranks.is_alive() and not signals.given_up:
            ranks.join(POLL_S)
            if signals.received and not signals.killed_at and not told:  # here, not in the handler, which may have interrupted another line
                told = True
                say("stopping after this step, with a checkpoint; once more to stop at once")
            if signals.killed_at:
                launcher.kill()  # again: it may have been about to start them
            seen = _follow(directory, seen, follow)
    _follow(directory, seen, follow)
    directory.stop_request.unlink(missing_ok=True)
    exit_code = 128 + signals.received if signals.received else 0
    if signals.killed_at:
        if ranks.is_alive():
            atexit.register(_leave, exit_code)
        hint = "; --resume auto goes back to the last checkpoint" if saves else ""
        raise TrainingFailed(f"stopped at once{hint}", exit_code=exit_code)
    if ranks.error:
        raise _explain(ranks.error, directory, saves) from ranks.error
    summary: Record = json.loads(directory.summary.read_text())
    return summary, exit_code if summary["status"] == "stopped" else 0


def _leave(exit_code: int) -> None:
    """End this process though the launcher is still in it. First of the exit handlers, being the last that was registered.

    The others would not return: multiprocessing waits without limit for children that the launcher goes on starting or cannot reap.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(exit_code)


def _follow(directory: RunDirectory, seen: int, follow: Callable[[Record], None]) -> int:
    """Pass on the whole lines that metrics.jsonl has gained; returns up to where it was read."""
    if not directory.metrics.exists():
        return seen
    with directory.metrics.open("rb") as stream:
        stream.seek(seen)
        news = stream.read()
    whole = news.rpartition(b"\n")[0]
    for line in whole.splitlines():
        with suppress(ValueError):  # a line that a full disk cut short
            follow(json.loads(line))
    return seen + len(whole) + 1 if whole else seen


def _explain(error: BaseException, directory: RunDirectory, saves: bool) -> BaseException:
    """The first thing that went wrong, in one line, with the place to read on; and how to go on, where checkpoints are saved."""
    failure = None if isinstance(error, TrainingFailed) and error.killed else RankFailure.first(directory)
    if shutil.disk_usage(directory.path).free < FULL_DISK_BYTES:
        again = "--resume auto" if saves else "run this again"
        return TrainingFailed(f"no space is left on the disk of {directory.path}; make room, then {again}")
    if failure is None:
        return error if not isinstance(error, TrainingFailed) else TrainingFailed(f"{error}; logs: {directory.log(0).parent}")
    told = f"rank {failure.rank} failed: {failure.message}"
    if failure.kind == TooManyBadImages.__name__ and saves:
        return TrainingFailed(f"{told}, then --resume auto")
    if failure.kind in (NonFiniteLoss.__name__, UsageError.__name__, TooManyBadImages.__name__):  # its message says all
        return TrainingFailed(told)
    return TrainingFailed(f"{told}; its log: {directory.log(failure.rank)}", trace=failure.trace)
