"""What a rank does when it trains. The local launcher, Ray and the tests are its callers; it asks nobody who called."""

import time
from dataclasses import replace

from dist_alexnet.launch.rank import connect_strategy, rank_process, settle_threads
from dist_alexnet.runs.metrics import MetricsFile
from dist_alexnet.training.job import Job
from dist_alexnet.training.loop import Training, summary


def train_rank(job: Job) -> None:
    """Train one rank's share of a job. Leaves metrics, checkpoints and, on rank 0, the summary in the run directory.

    Raises:
        Exception: whatever stopped this rank; it is on record in the run directory then.
    """
    with rank_process(job.config, job.directory) as world:
        job = replace(job, config=settle_threads(job.config, world))
        started, strategy = time.time(), connect_strategy(job.config, world)
        first = strategy.world.rank == 0
        attempt = sum(record["kind"] == "start" for record in job.directory.read_metrics()) if first else 0
        metrics = MetricsFile(job.directory.metrics if first else None, attempt)
        metrics.write("stage", doing="building the network, opening the images")
        training = Training(job, strategy, metrics)
        progress, epochs = training.progress, job.config.train.epochs
        total_steps = progress.step + training.work_left().steps
        metrics.write("start", step=progress.step, epoch=training.epoch, total_epochs=epochs, total_steps=total_steps)
        status = training.run()
        result = {**summary(training, status, time.time() - started), "restarts": attempt}
        metrics.write("end", step=training.progress.step, status=status)
        if first:
            job.directory.finish(result)
