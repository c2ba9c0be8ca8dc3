"""The person's side of a run: check everything, start the ranks, follow them, relay signals, say how it ended."""

import json
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from dist_alexnet.config import UsageError
from dist_alexnet.training.job import NonFiniteLoss, RankFailure, RunDirectory, TrainingFailed
from dist_alexnet.training.launcher import Launcher, RankFunction

POLL_S = 0.1
FULL_DISK_BYTES = 2**16

Record = dict[str, Any]


class Signals:
    """The first SIGINT or SIGTERM asks the ranks for a checkpoint, the second ends them."""

    def __init__(self, directory: RunDirectory, launcher: Launcher, say: Callable[[str], None]) -> None:
        self.received: int | None = None
        self.twice = False
        self._directory, self._launcher, self._say = directory, launcher, say

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
            self.received = number
            self._directory.stop_request.touch()
            self._say("stopping after this step, with a checkpoint; once more to stop at once")
        else:
            self.twice = True
            self._launcher.kill()


def execute(
    function: RankFunction, directory: RunDirectory, launcher: Launcher, follow: Callable[[Record], None], say: Callable[[str], None]
) -> tuple[Record, int]:
    """Run a function on all ranks to its end.

    Args:
        function: leaves `summary.json` in the directory, as `train_rank` and `evaluate_rank` do.
        directory: of the run.
        launcher: of the ranks.
        follow: called with each new record of metrics.jsonl, as it appears.
        say: called with a line for the person.

    Returns:
        The summary, and the exit code: 0, or 130 or 143 if a signal stopped the run after a checkpoint.

    Raises:
        TrainingFailed: a rank failed, or the run was stopped without a checkpoint.
    """
    directory.summary.unlink(missing_ok=True)
    seen = directory.metrics.stat().st_size if directory.metrics.exists() else 0
    errors: list[BaseException] = []

    def launch() -> None:
        try:
            launcher.run(function, directory)
        except BaseException as error:  # handed to the main thread
            errors.append(error)

    signals = Signals(directory, launcher, say)
    ranks = threading.Thread(target=launch, name="ranks", daemon=True)
    with signals.handled():
        ranks.start()
        while ranks.is_alive():
            ranks.join(POLL_S)
            seen = _follow(directory, seen, follow)
    _follow(directory, seen, follow)
    directory.stop_request.unlink(missing_ok=True)
    if signals.twice and signals.received:
        raise TrainingFailed("stopped at once; --resume auto goes back to the last checkpoint", exit_code=128 + signals.received)
    if errors:
        raise _explain(errors[0], directory) from errors[0]
    summary: Record = json.loads(directory.summary.read_text())
    stopped_by = signals.received if summary["status"] == "stopped" else None
    return summary, 128 + stopped_by if stopped_by else 0


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


def _explain(error: BaseException, directory: RunDirectory) -> BaseException:
    """The first thing that went wrong, in one line, with the place to read on."""
    failure = None if isinstance(error, TrainingFailed) and error.killed else RankFailure.first(directory)
    if shutil.disk_usage(directory.path).free < FULL_DISK_BYTES:
        return TrainingFailed(f"no space is left on the disk of {directory.path}; make room, then --resume auto")
    if failure is None:
        return error if not isinstance(error, TrainingFailed) else TrainingFailed(f"{error}; logs: {directory.log(0).parent}")
    told = f"rank {failure.rank} failed: {failure.message}"
    if failure.kind in (NonFiniteLoss.__name__, UsageError.__name__):  # its message says all
        return TrainingFailed(told)
    return TrainingFailed(f"{told}; its log: {directory.log(failure.rank)}", trace=failure.trace)
