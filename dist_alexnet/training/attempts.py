"""A training from its first attempt to its end: what is started again after a failure, and with how many ranks.

One policy for both. A world that fails, or that is about to lose a node, or that could be larger, is left at a checkpoint and made anew,
in new processes, with the most ranks that there is room for. Nothing else changes: neither the global batch nor the order of the images,
and so, but for rounding, not the result.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from dist_alexnet.checkpoints.files import folder_name, list_checkpoints
from dist_alexnet.checkpoints.resume import newest_whole
from dist_alexnet.checkpoints.state import read_state
from dist_alexnet.config import Config, UsageError
from dist_alexnet.launch.driver.driver import Driver
from dist_alexnet.launch.driver.endings import SHOWN_POLL_S, SHOWN_WAIT_S
from dist_alexnet.launch.launcher import Outlook
from dist_alexnet.launch.settle import make_launcher
from dist_alexnet.runs.failure import RoomTaken, TrainingFailed
from dist_alexnet.runs.metrics import MetricsFile
from dist_alexnet.runs.observers import Observer
from dist_alexnet.runs.records import Restarted, RunStarted, Steps
from dist_alexnet.training.job import Job
from dist_alexnet.training.room import NoRoom, largest_world, wait_for_room, with_ranks
from dist_alexnet.training.worker import train_rank

RETURN_WAIT_S = 120.0  # between two attempts, for nodes to come back, a head node to be restarted; launch.wait_s may be longer
RELEASE_S = 15.0  # for the place of the ranks of one attempt to be free for the next


class Outgrown:
    """Whether an attempt should make way for another one, given what becomes of the place that its ranks run on."""

    def __init__(self, config: Config, ranks: int, grow_after_s: float) -> None:
        self.room = ranks  # what the next attempt may hope for
        self._config, self._ranks, self._grow_after_s = config, ranks, grow_after_s
        self._larger_since: float | None = None

    def __call__(self, outlook: Outlook) -> str:
        """In words; empty: it should go on."""
        if outlook.leaving:
            return f"{', '.join(outlook.leaving)} is about to be taken away"
        if self._config.launch.min_workers is None:
            return ""
        self.room = largest_world(self._config, outlook.rooms)
        if self.room <= self._ranks:
            self._larger_since = None
            return ""
        now = time.monotonic()
        self._larger_since = self._larger_since or now
        return f"there is room for {self.room} ranks" if now - self._larger_since >= self._grow_after_s else ""


class Attempts:
    """What a run has come to between two attempts."""

    def __init__(self, job: Job, ranks: int, driver: Driver, say: Callable[[str], None]) -> None:
        self.job, self.ranks, self.failures = job, ranks, 0
        self._driver, self._say = driver, say
        self._elastic = job.config.launch.min_workers is not None
        self._grow_after_s = job.config.launch.grow_after_s  # longer after each growth that did not hold
        self._grown_from: int | None = None  # ranks of the attempt before, if this one has more

    def run(self) -> dict[str, Any]:
        """To the end; returns the summary."""
        while True:
            outgrown, failed, step = Outgrown(self.job.config, self.ranks, self._grow_after_s), None, None
            try:
                launcher = make_launcher(with_ranks(self.job.config, self.ranks))
                summary = self._driver.run(partial(train_rank, self.job), launcher, outgrown)
                if not self._driver.asked or summary["status"] != "stopped" or self._driver.stopped:
                    return summary
                step = summary["steps"]
            except TrainingFailed as error:
                failed = error
            except UsageError as error:  # the launcher's: a cluster that was there before does not answer
                if not (self._elastic or self.job.config.launch.max_failures):
                    raise
                failed = TrainingFailed(str(error))
            self._next(failed, outgrown.room if self._driver.asked else self.ranks, step)

    def _next(self, failed: TrainingFailed | None, hope: int, step: int | None) -> None:
        """Settle how the next attempt begins, or let the failure go on its way."""
        unheld = failed is not None and self._grown_from is not None and not self._has_trained()
        most = self.job.config
        if unheld:  # whatever is wrong with the nodes that came: it went well without them
            assert self._grown_from is not None
            hope, self._grow_after_s = self._grown_from, 2 * self._grow_after_s
            most = replace(most, launch=replace(most.launch, workers=hope))
        excused = unheld or bool(self._driver.asked) or isinstance(failed, RoomTaken)
        if failed and (self._driver.stopped or not (failed.again or excused)):
            raise failed
        there = self._room(most, hope, failed, excused or self.failures < self.job.config.launch.max_failures)
        if failed and not excused and not (self._elastic and there < self.ranks):  # a part of its place gone is what it was made for
            self.failures += 1
            if self.failures > self.job.config.launch.max_failures:
                raise failed
            why = f"{failed} (failure {self.failures} of {self.job.config.launch.max_failures} that are forgiven)"
        else:
            why = str(failed or self._driver.asked)
        self._go_on(there, why, step, failed is not None and not excused and there >= self.ranks)

    def _has_trained(self) -> bool:
        """This attempt has reported steps; it may have ended before it could say that it had begun."""
        trained = False
        for record in self.job.directory.records():
            trained = isinstance(record, Steps) or (trained and not isinstance(record, Restarted))
        return trained

    def _room(self, config: Config, hope: int, failed: TrainingFailed | None, forgiven: bool) -> int:
        """How many ranks the next attempt may have; the failure goes on its way where there is none."""
        if failed and not forgiven and not self._elastic:
            raise failed
        wait_s = max(RETURN_WAIT_S, config.launch.wait_s)
        try:
            there = wait_for_room(config, wait_s, self._say, hope, lambda: self._driver.stopped, RELEASE_S)
        except NoRoom as error:
            self._end_if_stopped()
            raise failed or TrainingFailed(f"{self._driver.asked}, and {error}") from error
        self._end_if_stopped()
        return there

    def _end_if_stopped(self) -> None:
        """Somebody wants the run to end, and there are no ranks that could hear of it."""
        if self._driver.stopped:
            raise TrainingFailed(
                "stopped between two attempts; --resume auto goes on from the last checkpoint",
                exit_code=self._driver.exit_code,
                again=False,
            )

    def _go_on(self, there: int, why: str, step: int | None, failed: bool) -> None:
        """The next attempt goes on from the newest whole checkpoint, which is put on record and told."""
        job, before = self.job, self.ranks
        if step is not None:
            _wait_to_see(job, step)
        checkpoint, faults = newest_whole(list_checkpoints(job.directory.checkpoints))
        for fault in faults:
            self._say(fault)
        resume = checkpoint or job.resume
        begins = read_state(resume).step if resume else 0
        self._end_if_stopped()
        with suppress(OSError):  # a full disk: the next attempt will say it
            attempts = sum(isinstance(record, RunStarted) for record in job.directory.records())
            record = Restarted(step=begins, ranks=before, next_ranks=there, why=why, failed=failed)
            MetricsFile(job.directory.metrics, max(attempts - 1, 0)).write(record)
            job.directory.forget_attempt()
        how = "" if there == before else f" with {there} ranks instead of {before}"
        self._say(f"{why}; going on from step {begins}{how}")
        self.job, self.ranks = replace(job, resume=resume), there
        self._grown_from = before if there > before else None


def _wait_to_see(job: Job, step: int) -> None:
    """The checkpoint that another node has just written; a file server may show it late."""
    deadline = time.monotonic() + SHOWN_WAIT_S
    while folder_name(step) not in [path.name for path in list_checkpoints(job.directory.checkpoints)] and time.monotonic() < deadline:
        time.sleep(SHOWN_POLL_S)


def train(job: Job, ranks: int, say: Callable[[str], None], observer: Observer) -> tuple[dict[str, Any], int]:
    """Run a job to its end, in as many attempts as its settings grant.

    Args:
        job: what to train; `config.launch` says how many failures are forgiven and which numbers of ranks will do.
        ranks: of the first attempt.
        say: called with a line for the person.
        observer: sees each new record, in this thread.

    Returns:
        The summary, and the exit code: 0, or 128 + n if signal n stopped the run after a checkpoint.

    Raises:
        TrainingFailed: it failed once more than is forgiven, or in a way that another attempt would share.
    """
    with Driver(job.directory, say, observer) as driver:
        summary = Attempts(job, ranks, driver, say).run()
    return summary, driver.exit_code if summary["status"] == "stopped" else 0
