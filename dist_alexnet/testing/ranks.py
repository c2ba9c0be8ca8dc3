"""Run a function on several gloo ranks of this machine and get back what each returned."""

import os
import pickle
import tempfile
import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing import set_forkserver_preload
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, start_processes

from dist_alexnet.launch.fate import die_with_parent
from dist_alexnet.parallel.world import World

TIMEOUT_S = 60
PRELOADED = ["torch.distributed", "torch.distributed.fsdp", "torch.distributed.pipelining", "dist_alexnet.testing.conformance"]

Result = TypeVar("Result")


def run_on_ranks(world_size: int, function: Callable[..., Result], *args: Any) -> list[Result]:
    """Call `function(world, *args)` on every rank; the results by rank.

    Each rank has one thread and another seed of torch's own generator, so that whatever ought to be drawn alike, but is not, shows.

    Args:
        world_size: processes to start.
        function: importable by name.
        args: picklable.

    Raises:
        AssertionError: a rank failed; holds the traceback of the first that did.
    """
    with tempfile.TemporaryDirectory(prefix="ranks-") as folder:
        set_forkserver_preload(PRELOADED)  # ranks are copies of a process that has these: importing torch takes seconds, for each of them
        arguments = (world_size, folder, dict(os.environ), function, args)
        processes = start_processes(_rank, arguments, world_size, join=False, start_method="forkserver")  # type: ignore[no-untyped-call]
        try:
            while not processes.join():
                pass
        except (ProcessRaisedException, ProcessExitedException) as error:
            failures = sorted(Path(folder).glob("*.failed"), key=lambda path: path.stat().st_mtime_ns)
            raise AssertionError(failures[0].read_text() if failures else str(error)) from None
        return [pickle.loads((Path(folder) / f"{rank}.result").read_bytes()) for rank in range(world_size)]


def _rank(
    rank: int, world_size: int, folder: str, environment: dict[str, str], function: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    os.environ.clear()  # that of the process which was copied
    os.environ.update(environment)
    die_with_parent()  # torch's SIGINT does not end one that waits for the others
    torch.set_num_threads(1)
    torch.manual_seed(1000 + rank)
    try:
        dist.init_process_group(  # a file as the store: no port to collide on
            "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world_size, timeout=timedelta(seconds=TIMEOUT_S)
        )
        result = function(World(rank, world_size), *args)
        (Path(folder) / f"{rank}.result").write_bytes(pickle.dumps(result))
        dist.barrier()
        dist.destroy_process_group()
    except BaseException:
        (Path(folder) / f"{rank}.failed").write_text(f"rank {rank} of {world_size}:\n{traceback.format_exc()}")
        os._exit(1)
    os._exit(0)  # without it gloo aborted at exit in 15 of 105 spawns, with it in 0 of 80 (2026-09)
