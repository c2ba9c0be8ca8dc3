"""What a rank does: train, or evaluate. The local launcher, Ray and the tests are its callers; it asks nobody who called."""

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from dist_alexnet.checkpoints.checkpoint import load_tensors
from dist_alexnet.data.image_set import open_data
from dist_alexnet.data.loader import Loader
from dist_alexnet.launch.agreement import Agreement
from dist_alexnet.launch.bad_images import BadImages
from dist_alexnet.launch.rank import connect_strategy, rank_process, settle_threads
from dist_alexnet.model.network import Network
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.runs.metrics import MetricsFile
from dist_alexnet.training.evaluation import evaluate
from dist_alexnet.training.job import EvaluationJob, Job
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


def evaluate_rank(job: EvaluationJob) -> None:
    """Evaluate checkpoints on the validation set; rank 0 leaves the result as the summary.

    Raises:
        Exception: whatever stopped this rank; it is on record in the run directory then.
    """
    with rank_process(job.config, job.directory) as world:
        config = settle_threads(job.config, world)
        strategy = connect_strategy(config, world)
        _, images = open_data(job.data)
        networks = [load_network(checkpoint, strategy) for checkpoint in job.checkpoints]
        loader = Loader(images, config.data, config.model.image_size, world.device, config.train.seed)
        agreement = Agreement(world, config.launch.timeout_s)
        with closing(loader.eval_batches(config.train.global_batch, strategy.rows, job.views)) as batches:
            tally = evaluate(strategy, networks, batches, agreement, job.views, job.confusion)
        bad = BadImages([loader], agreement, config.data.max_bad, tell=lambda name: None)
        bad.share()
        result: dict[str, Any] = {"status": "completed", "val": tally.validation().as_dict(), "by_class": tally.by_class()}
        result["bad_images"] = bad.known
        if job.confusion:
            result["confusions"] = tally.confusions()
        if world.rank == 0:
            job.directory.finish(result)


def load_network(checkpoint: Path, strategy: Strategy) -> Network:
    """This rank's share of the network of a checkpoint; every rank calls it."""
    network = strategy.build()
    load_tensors(checkpoint, strategy, network, optimizer=None)
    return network
