"""The person's side of a run: check everything, start the ranks, follow them, relay signals, say how it ended."""

import atexit
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dist_alexnet.launch.endings import explain, gone, read_summary
from dist_alexnet.launch.launcher import Launcher, RankFunction
from dist_alexnet.launch.signals import Signals
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.failure import TrainingFailed
from dist_alexnet.runs.observers import Guarded, Observer
from dist_alexnet.runs.reader import Reader
from dist_alexnet.runs.watch import Watch

POLL_S = 0.1


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
    say: Callable[[str], None],
    observer: Observer | None = None,
    saves: bool = True,
) -> tuple[dict[str, Any], int]:
    """Run a function on all ranks to its end.

    Args:
        function: leaves `summary.json` in the directory, as `train_rank` and `evaluate_rank` do.
        directory: of the run.
        launcher: of the ranks.
        say: called with a line for the person.
        observer: sees each new record of metrics.jsonl, as it appears, in this thread.
        saves: the function heeds a request to stop, and leaves a checkpoint; otherwise the first signal ends the ranks.

    Returns:
        The summary, and the exit code: 0, or 128 + n if signal n stopped the run after a checkpoint.

    Raises:
        TrainingFailed: a rank failed, or the run was stopped without a checkpoint.
    """
    reader, watcher = Reader.from_now_on(directory.metrics), Guarded("terminal", observer, say)
    signals, ranks, told = Signals(directory, launcher, saves), Ranks(function, directory, launcher), False
    watch = Watch(directory)
    with signals.handled():
        ranks.start()
        while ranks.is_alive() and not signals.given_up:
            ranks.join(POLL_S)
            if signals.received and not signals.killed_at and not told:  # here, not in the handler, which may have interrupted another line
                told = True
                say("stopping after this step, with a checkpoint; once more to stop at once")
            if signals.killed_at or watch.in_vain():
                launcher.kill()  # again: it may have been about to start them
            _pass_on(reader, watcher)
    _pass_on(reader, watcher)
    watcher.close()
    if not watch.gone:
        with suppress(OSError):  # it cannot be written any more; the next attempt deletes it, too
            directory.stop_request.unlink(missing_ok=True)
    exit_code = 128 + signals.received if signals.received else 0
    if signals.killed_at:
        if ranks.is_alive():
            atexit.register(_leave, exit_code)
        hint = "; --resume auto goes back to the last checkpoint" if saves else ""
        raise TrainingFailed(f"stopped at once{hint}", exit_code=exit_code)
    if watch.gone:
        raise TrainingFailed(gone(directory, saves)) from ranks.error
    if watch.overdue:  # they were killed by us: what is on record came first
        ranks.error = TrainingFailed(str(ranks.error))
    if ranks.error:
        raise explain(ranks.error, directory, launcher.config, saves) from ranks.error
    summary = read_summary(directory)
    return summary, exit_code if summary["status"] == "stopped" else 0


def _leave(exit_code: int) -> None:
    """End this process though the launcher is still in it. First of the exit handlers, being the last that was registered.

    The others would not return: multiprocessing waits without limit for children that the launcher goes on starting or cannot reap.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(exit_code)


def _pass_on(reader: Reader, observer: Guarded) -> None:
    for record in reader.new():
        observer.see(record)
