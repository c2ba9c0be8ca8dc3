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
from pathlib import Path
from typing import Any

from dist_alexnet.checkpoints.files import list_checkpoints
from dist_alexnet.checkpoints.resume import newest_whole
from dist_alexnet.checkpoints.state import read_state
from dist_alexnet.config import Config, UsageError
from dist_alexnet.launch.driver.driver import Driver
from dist_alexnet.launch.launcher import Outlook
from dist_alexnet.launch.settle import make_launcher
from dist_alexnet.runs.failure import TrainingFailed
from dist_alexnet.runs.metrics import MetricsFile
from dist_alexnet.runs.observers import Observer
from dist_alexnet.runs.records import Restarted, RunStarted
from dist_alexnet.training.job import Job
from dist_alexnet.training.room import NoRoom, largest_world, wait_for_room, with_ranks
from dist_alexnet.training.worker import train_rank

RETURN_WAIT_S = 120.0  # between two attempts, for nodes to come back, a head node to be restarted; launch.wait_s may be longer
RELEASE_S = 15.0  # for the place of the ranks of one attempt to be free for the next


class Outgrown:
    """Whether an attempt should make way for another one, given what becomes of the place that its ranks run on."""

    def __init__(self, config: Config, ranks: int) -> None:
        self._config, self._ranks = config, ranks
        self._larger_since: float | None = None

    def __call__(self, outlook: Outlook) -> str:
        """In words; empty: it should go on."""
        if outlook.leaving:
            return f"{', '.join(outlook.leaving)} is about to be taken away"
        ranks = largest_world(self._config, outlook.rooms) if self._config.launch.min_workers is not None else 0
        if ranks <= self._ranks:
            self._larger_since = None
            return ""
        now = time.monotonic()
        self._larger_since = self._larger_since or now
        lasting = now - self._larger_since >= self._config.launch.grow_after_s
        return f"there is room for {ranks} ranks" if lasting else ""


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
    launch, failures = job.config.launch, 0
    with Driver(job.directory, say, observer) as driver:
        while True:
            failed: TrainingFailed | None = None
            try:
                launcher = make_launcher(with_ranks(job.config, ranks))
                summary = driver.run(partial(train_rank, job), launcher, Outgrown(job.config, ranks))
                if not driver.asked or summary["status"] != "stopped" or driver.stopped:
                    return summary, driver.exit_code if summary["status"] == "stopped" else 0
                why = driver.asked
            except TrainingFailed as error:
                if driver.stopped or not error.again:
                    raise
                failed, why = error, str(error)
            except UsageError as error:  # the launcher's: a cluster that was there before does not answer
                if driver.stopped or not (failures < launch.max_failures):
                    raise
                failed, why = TrainingFailed(str(error)), str(error)
            there = _room_again(job.config, ranks, say, driver, failed, failures < launch.max_failures)
            counted = failed is not None and not _lost_room(job.config, ranks, there)
            if counted:
                failures += 1
                if failures > launch.max_failures:
                    assert failed is not None
                    raise failed
            job = _go_on(job, ranks, there, why, failures if counted else 0, say)
            ranks = there


def _lost_room(config: Config, ranks: int, there: int) -> bool:
    """An elastic run has failed because a part of its place is gone: that is no failure, but what it was made elastic for."""
    return config.launch.min_workers is not None and there < ranks


def _room_again(
    config: Config, ranks: int, say: Callable[[str], None], driver: Driver, failed: TrainingFailed | None, forgiven: bool
) -> int:
    """How many ranks the next attempt may have, after one with `ranks`; the failure goes on its way where there is none."""
    elastic = config.launch.min_workers is not None
    if failed and not forgiven and not elastic:
        raise failed
    try:
        return wait_for_room(config, max(RETURN_WAIT_S, config.launch.wait_s), say, ranks, lambda: driver.stopped, RELEASE_S)
    except NoRoom as error:
        raise failed or TrainingFailed(f"{driver.asked}, and {error}") from error


def _go_on(job: Job, ranks: int, there: int, why: str, failures: int, say: Callable[[str], None]) -> Job:
    """The job of the next attempt, which is put on record and told."""
    checkpoint, faults = newest_whole(list_checkpoints(job.directory.checkpoints))
    for fault in faults:
        say(fault)
    resume: Path | None = checkpoint or job.resume
    step = read_state(resume).step if resume else 0
    with suppress(OSError):  # a full disk: the next attempt will say it
        attempts = sum(isinstance(record, RunStarted) for record in job.directory.records())
        record = Restarted(step=step, ranks=ranks, next_ranks=there, why=why, failed=failures > 0)
        MetricsFile(job.directory.metrics, max(attempts - 1, 0)).write(record)
        job.directory.forget_attempt()
    nth = f" (failure {failures} of {job.config.launch.max_failures} that are forgiven)" if failures else ""
    how = "" if there == ranks else f" with {there} ranks instead of {ranks}"
    say(f"{why}; going on from step {step}{how}{nth}")
    return replace(job, resume=resume)
