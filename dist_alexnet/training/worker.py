"""The one entry point of a rank. The local launcher, Ray and the tests are its callers; it asks nobody who called.

It reads RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT, as torchrun sets them, and nothing else of the environment.
"""

import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta

import torch
import torch.distributed as dist

from dist_alexnet.config import Config
from dist_alexnet.data.dali import Loader
from dist_alexnet.data.image_set import open_data
from dist_alexnet.parallel import registry
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.parallel.world import World
from dist_alexnet.telemetry.metrics import MetricsFile
from dist_alexnet.training.agreement import Agreement
from dist_alexnet.training.checkpoint import load_tensors
from dist_alexnet.training.evaluation import evaluate
from dist_alexnet.training.job import Job, RankFailure, RunDirectory
from dist_alexnet.training.loop import Training, summary

logger = logging.getLogger(__name__)


def train_rank(job: Job) -> None:
    """Train one rank's share of a job. Leaves metrics, checkpoints and, on rank 0, the summary in the run directory.

    Raises:
        Exception: whatever stopped this rank; it is on record in the run directory then.
    """
    with rank_process(job.config, job.directory) as strategy:
        started = time.time()
        first = strategy.world.rank == 0
        attempt = sum(record["kind"] == "start" for record in job.directory.read_metrics()) if first else 0
        metrics = MetricsFile(job.directory.metrics if first else None, attempt)
        training = Training(job, strategy, metrics)
        metrics.write("start", step=training.progress.step, epoch=training.epoch, total_epochs=job.config.train.epochs)
        status = training.run()
        result = {**summary(training, status, time.time() - started), "restarts": attempt}
        metrics.write("end", step=training.progress.step, status=status)
        if first:
            job.directory.summary.write_text(json.dumps(result, indent=2) + "\n")


def evaluate_rank(job: Job) -> None:
    """Evaluate the checkpoint of a job on its validation set; rank 0 leaves the result as the summary.

    Raises:
        Exception: whatever stopped this rank; it is on record in the run directory then.
    """
    assert job.resume
    with rank_process(job.config, job.directory) as strategy:
        config, world = job.config, strategy.world
        _, images = open_data(job.data)
        network = strategy.build()
        load_tensors(job.resume, strategy, network, optimizer=None)
        loader = Loader(images, config.data, config.model.image_size, world.device, config.train.seed)
        with closing(loader.eval_batches(config.train.global_batch, strategy.rows)) as batches:
            result = evaluate(strategy, network, batches, Agreement(world, config.launch.timeout_s))
        if world.rank == 0:
            job.directory.summary.write_text(json.dumps({"status": "completed", "val": result.as_dict()}))


@contextmanager
def rank_process(config: Config, directory: RunDirectory) -> Iterator[Strategy]:
    """Turn this process into a rank: log file, process group, strategy; and back.

    A failure inside is recorded in the run directory before it goes on its way.
    """
    rank = int(os.environ["RANK"])
    _log_to(directory, rank, int(os.environ["WORLD_SIZE"]))
    try:
        world = World.from_environment(config.launch.device)
        with _process_group(world, config):
            nodes = tuple(Agreement(world, config.launch.timeout_s).gather(socket.gethostname()))
            strategy: Strategy = registry.load(registry.STRATEGIES, config.strategy.name)(config, replace(world, nodes=nodes))
            strategy.connect()
            yield strategy
    except BaseException as error:
        logger.exception("rank %d failed", rank)
        RankFailure.record(directory, rank, error)
        raise


@contextmanager
def _process_group(world: World, config: Config) -> Iterator[None]:
    """Join the others, for the time of a run."""
    torch.set_num_threads(config.launch.threads)
    if world.device.type == "cuda":
        torch.cuda.set_device(world.device)
    backend = "nccl" if world.device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=timedelta(seconds=config.launch.timeout_s))
    yield
    dist.destroy_process_group()  # not after a failure: it would wait for ranks that are gone


def _log_to(directory: RunDirectory, rank: int, world_size: int) -> None:
    """Send what this process prints, C++ included, to the rank's own file."""
    stream = directory.log(rank).open("a", buffering=1)
    os.dup2(stream.fileno(), 1)
    os.dup2(stream.fileno(), 2)
    logging.basicConfig(
        level=logging.INFO if rank == 0 else logging.WARNING,
        format=f"%(asctime)s [rank {rank}/{world_size}] %(levelname)s %(name)s: %(message)s",
        force=True,
    )
