"""Ray's side of a run in a process of its own, so that what Ray does to a process that drives it is not done to ours.

Ray ends its driver with C++ stack traces when its own processes go, prints to the terminal, and hangs in exit handlers; and nothing of it
heeds that a signal to the process group was meant for us. Here all of it is the child's: its output goes to a file, signals are blocked in
it and in all that it starts, it dies with us, and what is left of it is killed.
"""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from dist_alexnet.config import UsageError
from dist_alexnet.launch.fate import adopt_orphans, die_with_parent
from dist_alexnet.machine.signals import LEFT_TO_DRIVER, blocked
from dist_alexnet.registry import ROOT
from dist_alexnet.runs.failure import TrainingFailed

KILL_WAIT_S = 5.0
WATCH_S = 0.5
PARENT_DIED = signal.SIGRTMIN  # sent by the kernel

Say = Callable[[object], None]  # from any thread; an exception ends the task, while it still works
Task = Callable[[Say], None]


class Apart:
    """One task in a process of its own."""

    def __init__(self, task: Task, log: Path) -> None:
        """`task`: picklable. `log`: takes what the process prints."""
        self._answers, theirs = get_context("spawn").Pipe(duplex=False)
        self._process = get_context("spawn").Process(target=_work, args=(task, theirs, log), daemon=True)
        self._log, self._ending = log, threading.Lock()
        with blocked():
            self._process.start()
        theirs.close()

    def told(self) -> Iterator[Any]:
        """What the task says, until its end; raises what it raised."""
        while True:
            try:
                said = self._answers.recv()
            except EOFError:
                said = TrainingFailed(f"Ray's driver died; its log: {self._log}")
            if isinstance(said, BaseException):
                raise said
            if said is None:
                return
            yield said

    def end(self) -> None:
        """Kill the process and all that it has started, and wait until they are gone. It may have ended; from any thread."""
        with self._ending:
            assert self._process.pid
            if self._process.exitcode is None:  # else its number may be somebody else's
                _kill_descendants(self._process.pid)
                self._process.kill()
                self._process.join(KILL_WAIT_S)
            with suppress(OSError):  # somebody has deleted the folder of the run
                if not self._log.stat().st_size:
                    self._log.unlink()


def _work(task: Task, answers: "Connection[object, None]", log: Path) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {*LEFT_TO_DRIVER, PARENT_DIED})
    adopt_orphans()
    die_with_parent(PARENT_DIED)
    if (parent := parent_process()) is None or parent.pid != os.getppid():
        os._exit(1)  # it died while this process was being started, which the kernel will not say any more
    threading.Thread(target=_die_with_all_when_parent_does, daemon=True).start()
    with log.open("a") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    _leave_folder(log.parent)
    alone = threading.Lock()

    def say(thing: object) -> None:
        with alone:
            answers.send(thing)

    try:
        task(say)
        say(None)
    except BaseException as error:  # handed to the parent
        traceback.print_exc()
        say(_portable(error, log))
    sys.stderr.flush()
    threading.Event().wait()  # until the parent ends us together with all that we have started


def _die_with_all_when_parent_does() -> None:
    """Ray's agents would outlive us by minutes: they ask now and then whether their raylet is there."""
    signal.sigwait({PARENT_DIED})
    _kill_descendants(os.getpid())
    os._exit(1)


def _kill_descendants(pid: int) -> None:
    """Kill all that a process has started, and wait until they are gone."""
    deadline = time.monotonic() + KILL_WAIT_S
    while (started := list(filter(_lives, _descendants(pid)))) and time.monotonic() < deadline:
        for other in started:  # again and again: Ray starts others in their place
            with suppress(ProcessLookupError):
                os.kill(other, signal.SIGKILL)
        time.sleep(0.02)


def _leave_folder(instead: Path) -> None:
    """Ray has its workers search the folder that its driver is in before all others: somebody else's packages may lie there."""
    if Path.cwd() != ROOT:  # else it is where the workers have to look
        if searched := os.environ.get("PYTHONPATH"):
            os.environ["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, searched.split(os.pathsep)))
        os.chdir(instead)


def _portable(error: BaseException, log: Path) -> BaseException:
    """One that the parent can read without Ray."""
    if isinstance(error, UsageError | TrainingFailed):
        return error
    return TrainingFailed(f"Ray failed: {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}; its log: {log}")


def fail_when_one_ends(say: Say) -> None:
    """Say so as soon as a child process of this one has ended. Without it the others would wait for it for a minute."""
    children = {pid: Path(f"/proc/{pid}/comm").read_text().strip() for pid in _children(os.getpid())}

    def watch() -> None:
        while not (gone := [name for pid, name in children.items() if not _lives(pid)]):
            time.sleep(WATCH_S)
        say(TrainingFailed(f"Ray's process {gone[0]} died: it crashed or was killed (out of memory?)"))

    threading.Thread(target=watch, daemon=True).start()


def _descendants(pid: int) -> list[int]:
    """Its children and theirs, the youngest generation first."""
    return [found for child in _children(pid) for found in (*_descendants(child), child)]


def _children(pid: int) -> list[int]:
    """Of all its threads. Linux alone lists them."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, file.read_text().split())
    return found


def _lives(pid: int) -> bool:
    """Neither gone nor waiting to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False
