"""The person's side of a run: check everything, start the ranks, follow them, relay signals, say how it ended."""

import atexit
import os
import secrets
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from dist_alexnet.launch.driver.endings import explain, gone, read_summary
from dist_alexnet.launch.driver.signals import Signals
from dist_alexnet.launch.launcher import Launcher, Outlook, RankFunction
from dist_alexnet.runs.directory import ATTEMPT, RunDirectory
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


def never(outlook: Outlook) -> str:
    """No reason to stop the ranks before they are done."""
    return ""


class Driver:
    """A run, in one attempt or several: its signals are ours meanwhile, and its records are passed on."""

    def __init__(self, directory: RunDirectory, say: Callable[[str], None], observer: Observer | None = None, saves: bool = True) -> None:
        """What every attempt has in common.

        Args:
            directory: of the run.
            say: called with a line for the person.
            observer: sees each new record of metrics.jsonl, as it appears, in this thread.
            saves: the function heeds a request to stop, and leaves a checkpoint; otherwise the first signal ends the ranks.
        """
        self.asked = ""  # why the last attempt was stopped before its end, by us
        self._directory, self._say, self._saves = directory, say, saves
        self._reader, self._watcher = Reader.from_now_on(directory.metrics), Guarded("terminal", observer, say)
        self._signals, self._told = Signals(directory, saves), False
        self._handled = self._signals.handled()

    def __enter__(self) -> "Driver":
        self._handled.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._handled.__exit__(None, None, None)
        self.pass_on()
        self._watcher.close()

    @property
    def stopped(self) -> bool:
        """Somebody wants the run to end."""
        return self._signals.received is not None

    @property
    def exit_code(self) -> int:
        """128 + n after signal n, else 0."""
        return 128 + self._signals.received if self._signals.received else 0

    def run(self, function: RankFunction, launcher: Launcher, ask: Callable[[Outlook], str] = never) -> dict[str, Any]:
        """One attempt: run a function on all ranks to its end.

        Args:
            function: leaves `summary.json` in the directory, as `train_rank` and `evaluate_rank` do.
            launcher: of the ranks.
            ask: why the ranks should be stopped with a checkpoint, given what is known of the place they run on; empty: they should not.

        Returns:
            The summary. If `asked` is not empty, the ranks were stopped for that reason.

        Raises:
            TrainingFailed: a rank failed, or the run was stopped without a checkpoint.
        """
        self.asked, attempt = "", secrets.token_hex(8)
        ranks, watch = Ranks(partial(_of_attempt, attempt, function), self._directory, launcher), Watch(self._directory, attempt)
        signals = self._signals
        signals.launcher = launcher
        ranks.start()
        if self.stopped:  # between two attempts
            self._request_stop()
        while ranks.is_alive() and not signals.given_up:
            ranks.join(POLL_S)
            self._tell_of_signals()
            if not self.stopped and not self.asked and (reason := ask(launcher.outlook)):
                self._stop(reason, attempt)
            if signals.killed_at or watch.in_vain():
                launcher.kill()  # again: it may have been about to start them
            self.pass_on()
        self.pass_on()
        if not watch.gone:
            with suppress(OSError):  # it cannot be written any more; the next attempt deletes it, too
                self._directory.stop_request.unlink(missing_ok=True)
        self._raise_what_went_wrong(ranks, watch, launcher, attempt)
        return read_summary(self._directory)

    def pass_on(self) -> None:
        """Show the observer what is new in the records."""
        for record in self._reader.new():
            self._watcher.see(record)

    def _tell_of_signals(self) -> None:
        """Here, not in the handler, which may have interrupted another line."""
        if self.stopped and not self._signals.killed_at and not self._told:
            self._told = True
            self._say("stopping after this step, with a checkpoint; once more to stop at once")

    def _request_stop(self, attempt: str = "") -> bool:
        with suppress(OSError):  # a full disk
            self._directory.stop_request.write_text(attempt)
            return True
        return False

    def _stop(self, reason: str, attempt: str) -> None:
        if self._request_stop(attempt):  # else we ask again
            self.asked = reason
            self._say(f"{reason}: stopping after this step, with a checkpoint")

    def _raise_what_went_wrong(self, ranks: Ranks, watch: Watch, launcher: Launcher, attempt: str) -> None:
        signals = self._signals
        if signals.killed_at:
            if ranks.is_alive():
                atexit.register(_leave, self.exit_code)
            hint = "; --resume auto goes back to the last checkpoint" if self._saves else ""
            raise TrainingFailed(f"stopped at once{hint}", exit_code=self.exit_code, again=False)
        if watch.gone:
            raise TrainingFailed(gone(self._directory, self._saves), again=False) from ranks.error
        if watch.overdue:  # they were killed by us: what is on record came first
            ranks.error = TrainingFailed(str(ranks.error))
        if ranks.error:
            raise explain(ranks.error, self._directory, launcher.config, self._saves, attempt) from ranks.error


def execute(
    function: RankFunction,
    directory: RunDirectory,
    launcher: Launcher,
    say: Callable[[str], None],
    observer: Observer | None = None,
    saves: bool = True,
) -> tuple[dict[str, Any], int]:
    """Run a function on all ranks to its end, in one attempt; arguments as of `Driver`.

    Returns:
        The summary, and the exit code: 0, or 128 + n if signal n stopped the run after a checkpoint.

    Raises:
        TrainingFailed: a rank failed, or the run was stopped without a checkpoint.
    """
    with Driver(directory, say, observer, saves) as driver:
        summary = driver.run(function, launcher)
    return summary, driver.exit_code if summary["status"] == "stopped" else 0


def _of_attempt(name: str, function: RankFunction) -> None:
    """What a rank does, knowing which attempt it is of."""
    os.environ[ATTEMPT] = name
    function()


def _leave(exit_code: int) -> None:
    """End this process though the launcher is still in it. First of the exit handlers, being the last that was registered.

    The others would not return: multiprocessing waits without limit for children that the launcher goes on starting or cannot reap.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(exit_code)
