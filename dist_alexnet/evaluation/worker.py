"""What a rank does when it evaluates; it asks nobody who called."""

from contextlib import closing
from pathlib import Path
from typing import Any

from dist_alexnet.checkpoints.checkpoint import load_tensors
from dist_alexnet.data.load.loader import Loader
from dist_alexnet.data.sets.open import open_data
from dist_alexnet.evaluation.evaluation import evaluate
from dist_alexnet.evaluation.job import EvaluationJob
from dist_alexnet.launch.agreement import Agreement
from dist_alexnet.launch.bad_images import BadImages
from dist_alexnet.launch.rank import connect_strategy, rank_process, settle_threads
from dist_alexnet.model.network import Network
from dist_alexnet.parallel.strategy import Strategy


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
