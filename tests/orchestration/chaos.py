"""Killing the ranks of a run at random moments, and what must hold of it afterwards."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from dist_alexnet.checkpoints.files import TEMPORARY
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.reader import Reader
from dist_alexnet.runs.records import Ended, Restarted, RunStarted, Steps
from tests.orchestration.runs import wait_until
from tests.orchestration.test_local_runs import tensors

BATCH = 16
RESTART_S = 900  # of a cluster whose nodes come back, on two cores that others use, too
STEPS_PER_KILL = 40
LAST = 40  # steps without a kill: it takes a moment to find out whom, and the run goes on meanwhile
UP_TO_S = 0.4  # after a step: some steps, a checkpoint and a validation of the tiny network take as long

Run = subprocess.Popen[str]


class Progress:
    """How far a run has come, by its records."""

    def __init__(self, folder: Path) -> None:
        self.step, self.restarts = 0, 0
        self.ranks, self.done_here = 0, 0  # in the newest attempt
        self._reader = Reader(RunDirectory(folder).metrics)

    def look(self) -> "Progress":
        for record in self._reader.new():
            if isinstance(record, Steps):
                self.step, self.done_here = max(self.step, record.step), self.done_here + record.steps
            self.restarts += isinstance(record, Restarted)
            if isinstance(record, RunStarted):
                self.ranks, self.done_here = record.world_size, 0
        return self


def kill_at_random_steps(run: Run, folder: Path, steps: int, kills: list[Callable[[], None]], chance: random.Random) -> None:
    """Do each of `kills` once, in this order, at moments of their own; each third while a checkpoint is being written."""
    progress = Progress(folder)
    for number, kill in enumerate(kills):
        room = (steps - LAST - progress.look().step) // (len(kills) - number)
        step = progress.step + chance.randrange(max(room, 1))
        wait_until(run, lambda step=step: progress.look().step >= step, RESTART_S)  # type: ignore[misc]
        if number % 3 == 2:
            before = being_written(folder)
            wait_until(run, lambda before=before: being_written(folder) - before)  # type: ignore[misc]
        else:
            time.sleep(chance.uniform(0, UP_TO_S))
        kill()
        wait_until(run, lambda number=number: progress.look().restarts > number, RESTART_S)  # type: ignore[misc]


def being_written(folder: Path) -> set[tuple[str, int]]:
    """Checkpoints of a run that are being written, or were when a rank was killed: folders, which are told apart by their inodes, too."""
    found = set()
    for each in RunDirectory(folder).checkpoints.glob(f"{TEMPORARY}*"):
        with suppress(FileNotFoundError):
            found.add((each.name, each.stat().st_ino))
    return found


def kill_rank(processes: Callable[[], list[int]], folder: Path, rank: int) -> None:
    """SIGKILL to the process that writes the log of a rank; it may be about to start."""
    log = RunDirectory(folder).log(rank)
    while (pid := next((pid for pid in processes() if _writes(pid, log)), None)) is None:
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)


def of_session(run: Run) -> list[int]:
    """All processes of a run on this machine but its driver."""
    listed = subprocess.run(["pgrep", "-s", str(run.pid)], capture_output=True, text=True, check=False).stdout
    return [pid for pid in map(int, listed.split()) if pid != run.pid]


def assert_undisturbed(folder: Path, expected: Path, steps: int) -> None:
    """The same bits, and of each step, in whatever attempt it was done, the same loss: no image was left out or seen twice."""
    end = f"step-{steps:08d}"
    mine, theirs = tensors(folder, end), tensors(expected, end)
    assert [name for name in theirs if not torch.equal(mine[name], theirs[name])] == []
    losses = {(record.step, record.loss) for record in RunDirectory(expected).records() if isinstance(record, Steps)}
    records = list(RunDirectory(folder).records())
    assert {(record.step, record.loss) for record in records if isinstance(record, Steps)} == losses
    assert {record.images for record in records if isinstance(record, Steps)} == {BATCH}
    assert isinstance(records[-1], Ended)


def _writes(pid: int, log: Path) -> bool:
    with suppress(OSError):
        return any(os.readlink(opened) == str(log) for opened in Path(f"/proc/{pid}/fd").iterdir())
    return False
