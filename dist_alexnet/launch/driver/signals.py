"""The signals of a run: whichever of them terminals and batch systems send first, the ranks are asked for a checkpoint."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from dist_alexnet.launch.launcher import Launcher
from dist_alexnet.machine.signals import INSISTING, LEFT_TO_DRIVER
from dist_alexnet.runs.directory import RunDirectory

REPEAT_S = 0.5  # `timeout` and some batch systems send one signal twice, to the process and to its group: that is not asking twice
KILL_WAIT_S = 10.0  # for ranks that were killed to end


class Signals:
    """The first signal asks the ranks for a checkpoint, if they write any; who insists ends them."""

    def __init__(self, directory: RunDirectory, saves: bool) -> None:
        self.received: int | None = None
        self.killed_at: float | None = None
        self.launcher: Launcher | None = None  # of the ranks that run
        self._directory, self._saves = directory, saves
        self._insisted_at: float | None = None

    @property
    def given_up(self) -> bool:
        """The ranks were killed and have had their time to end."""
        return self.killed_at is not None and time.monotonic() > self.killed_at + KILL_WAIT_S

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Take the signals over for the time of a run; only the main thread can. What `nohup` has us ignore stays ignored."""
        numbers = LEFT_TO_DRIVER - ({signal.SIGHUP} if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else set())
        before = {number: signal.signal(number, self._receive) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        """Here, not in the main loop, which may be waiting for a terminal that takes no more lines."""
        if self.received is None:
            self.received = number
            with suppress(OSError):  # on a full disk there can be no checkpoint either; once more ends the ranks
                self._directory.stop_request.touch()
        if not self._saves or (number in INSISTING and self._insists()):
            self.killed_at = self.killed_at or time.monotonic()
            if self.launcher:
                self.launcher.kill()

    def _insists(self) -> bool:
        now = time.monotonic()
        self._insisted_at = self._insisted_at or now
        return now > self._insisted_at + REPEAT_S
