"""What a rank does when it trains. The local launcher, Ray and the tests are its callers; it asks nobody who called."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dist_alexnet.launch.rank import connect_strategy, rank_process, settle_threads
from dist_alexnet.runs.failure import Lost
from dist_alexnet.runs.metrics import MetricsFile, insist
from dist_alexnet.runs.records import Ended, RunStarted, Stage
from dist_alexnet.training.account import resizes, started, summary
from dist_alexnet.training.job import Job
from dist_alexnet.training.loop import Training


def train_rank(job: Job) -> None:
    """Train one rank's share of a job. Leaves metrics, checkpoints and, on rank 0, the summary in the run directory.

    Raises:
        Exception: whatever stopped this rank; it is on record in the run directory then.
    """
    with rank_process(job.config, job.directory) as world:
        job = replace(job, config=settle_threads(job.config, world))
        begun, strategy = time.monotonic(), connect_strategy(job.config, world)
        first = strategy.world.rank == 0
        before = list(job.directory.records()) if first else []
        attempt = sum(isinstance(record, RunStarted) for record in before)
        metrics = MetricsFile(job.directory.metrics if first else None, attempt)
        metrics.write(Stage(doing="building the network, opening the images"))
        training = Training(job, strategy, metrics)
        metrics.write(started(training))
        status = training.run()
        result = {**summary(training, status, time.monotonic() - begun), "restarts": attempt, "resizes": resizes(before)}
        metrics.write(Ended(step=training.progress.step, status=status))
        if first:
            _leave(job, metrics, result)


def _leave(job: Job, metrics: MetricsFile, result: Mapping[str, Any]) -> None:
    """Write what tells of a run that is over (Lost: it cannot be written)."""
    for name, write in ((job.directory.metrics.name, metrics.flush), (job.directory.summary.name, lambda: job.directory.finish(result))):
        try:
            insist(write)
        except OSError as error:
            raise Lost(
                f"{name} could not be written to its end ({error.strerror}); the checkpoint of step {result['steps']} is there"
            ) from error
