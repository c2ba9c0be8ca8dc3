"""What makes a process a rank, whatever it is to do there. It reads torchrun's five variables and nothing else of the environment."""

import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import torch
import torch.distributed as dist

from dist_alexnet import registry
from dist_alexnet.config import Config
from dist_alexnet.launch import watchdog
from dist_alexnet.launch.agreement import Agreement
from dist_alexnet.launch.fingerprint import check_fingerprints, fingerprint
from dist_alexnet.machine.allocator import keep_freed_memory
from dist_alexnet.machine.cores import share_of_cores
from dist_alexnet.model.precision import allow_tf32
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.parallel.world import World
from dist_alexnet.redact import without_secrets
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.failure import RankFailure

OTHERS_WAIT_S = 3.0  # our end ends the others: those who wait too, since a moment later, must say so, or they count as silent

logger = logging.getLogger(__name__)


def connect_strategy(config: Config, world: World) -> Strategy:
    """The strategy of a configuration, with its process groups; every rank of the world calls it."""
    strategy: Strategy = registry.load(registry.STRATEGIES, config.strategy.name)(config, world)
    strategy.connect()
    return strategy


def settle_threads(config: Config, world: World) -> Config:
    """With the threads that this rank uses, where the configuration leaves them to its node: the cores there shared by the ranks there."""
    threads = config.launch.threads or share_of_cores(world.ranks_on_node)
    decoding = config.data.threads or (threads if config.launch.device == "cuda" else 1)
    return replace(config, launch=replace(config.launch, threads=threads), data=replace(config.data, threads=decoding))


@contextmanager
def rank_process(config: Config, directory: RunDirectory) -> Iterator[World]:
    """Turn this process into a rank: log file, process group, agreement with the others; and back.

    A failure inside is recorded in the run directory before it goes on its way.
    """
    rank = int(os.environ["RANK"])
    _log_to(directory, rank, int(os.environ["WORLD_SIZE"]))
    try:
        world = World.from_environment(config.launch.device, config.launch.share_device)
        with _process_group(world, config):
            everybody = Agreement(world, config.launch.timeout_s).gather((socket.gethostname(), fingerprint(config)))
            nodes = tuple(node for node, _ in everybody)
            check_fingerprints(nodes, [prints for _, prints in everybody])
            world = replace(world, nodes=nodes)
            torch.set_num_threads(settle_threads(config, world).launch.threads)  # OpenMP's and MKL's too
            allow_tf32(config.train)
            yield world
    except BaseException as error:
        logger.exception("rank %d failed", rank)
        if RankFailure.record(directory, rank, error).timed_out:
            time.sleep(OTHERS_WAIT_S)
        raise


@contextmanager
def _process_group(world: World, config: Config) -> Iterator[None]:
    """Join the others, for the time of a run."""
    if world.device.type == "cuda":
        torch.cuda.set_device(world.device)
    else:
        keep_freed_memory()
    backend = "nccl" if world.device.type == "cuda" and not config.launch.share_device else "gloo"  # nccl wants a device for each rank
    dist.init_process_group(backend, timeout=timedelta(seconds=config.launch.timeout_s))
    yield
    watchdog.done()
    dist.destroy_process_group()  # not after a failure: it would wait for ranks that are gone


def _log_to(directory: RunDirectory, rank: int, world_size: int) -> None:
    """Send what this process prints, C++ included, to the rank's own file."""
    stream = directory.log(rank).open("a", buffering=1)
    os.dup2(stream.fileno(), 1)
    os.dup2(stream.fileno(), 2)
    handler = logging.StreamHandler()
    handler.setFormatter(_WithoutSecrets(f"%(asctime)s [rank {rank}/{world_size}] %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO if rank == 0 else logging.WARNING, handlers=[handler], force=True)


class _WithoutSecrets(logging.Formatter):
    """What libraries print by themselves goes to the file as it is."""

    def format(self, record: logging.LogRecord) -> str:
        """A line, or some with a traceback."""
        return without_secrets(super().format(record))
