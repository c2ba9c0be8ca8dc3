"""Ranks as workers of Ray Train: on this machine with a Ray of its own, or on an existing cluster.

Ray places the ranks, starts them and notices when one dies. Nothing else goes through it: a rank writes its metrics, checkpoints and
failure to the run directory, which every node must see.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from cluster import session
from cluster.placement import gpus_per_rank, resources_per_rank, room, total
from cluster.stderr import errors_to
from dist_alexnet.config import LaunchConfig, UsageError
from dist_alexnet.surroundings import check_ranks
from dist_alexnet.training.job import RunDirectory, TrainingFailed
from dist_alexnet.training.launcher import Launcher, RankFunction


class RayLauncher(Launcher):
    """Starts ranks through Ray Train."""

    def __init__(self, config: LaunchConfig) -> None:
        super().__init__(config)
        address = config.address or os.environ.get("RAY_ADDRESS")
        self._address = None if address == "local" else address or None
        self._folder: Path | None = None  # Ray's, for the time of a run
        self._killed = False

    def cuda_devices(self) -> int:
        """GPUs of the cluster, or, for a Ray of its own, the devices that torch sees."""
        if self._address:
            return int(sum(node.get("GPU", 0) for node in self._nodes(self._address)))
        import torch

        return torch.cuda.device_count()

    def validate(self) -> None:
        """Refuse a cluster that is not there or too small: Ray would wait for more nodes, not refuse."""
        check_ranks()
        if not self._address:
            session.place_for_sockets()
            return
        ranks, rank, nodes = self.config.ranks, self._per_rank(), self._nodes(self._address)
        fitting = room(nodes, rank)
        if fitting < ranks:
            fewer = f"--gpus {fitting}, " if fitting else ""
            raise UsageError(
                f"{ranks} ranks need {total([rank] * ranks, rank)}, but the Ray cluster at {self._address} has {total(nodes, rank)}, "
                f"room for {fitting}; type {fewer}--launcher local or another launch.address"
            )

    def run(self, function: RankFunction, directory: RunDirectory) -> None:
        """Run the ranks; the failure of one ends the others. There are no retries: the run can be resumed."""
        log = directory.log(0).with_name("ray.log")
        with (
            errors_to(log),
            self._ray(),
            tempfile.TemporaryDirectory(prefix=".ray-", dir=directory.path, ignore_cleanup_errors=True) as folder,
        ):
            self._folder = Path(folder)
            if not self._killed:
                self._fit(function, self._folder)
        if self._killed:
            raise TrainingFailed("stopped at once, without a checkpoint", killed=True)

    def kill(self) -> None:
        """Ask the ranks to die, through a file that each of them looks for."""
        self._killed = True
        if self._folder:
            with suppress(FileNotFoundError):  # the run has just ended
                (self._folder / "kill").touch()

    @contextmanager
    def _ray(self) -> Iterator[None]:
        if not self._address:
            with session.own_ray(self.config.ranks, min(self.config.ranks, self.cuda_devices()) if self.config.device == "cuda" else 0):
                yield
            return
        session.connect(self._address)
        import ray

        try:
            yield
        finally:
            ray.shutdown()

    def _per_rank(self) -> dict[str, float]:
        share = self.config.share_device
        return resources_per_rank(self.config.device, gpus_per_rank(self.cuda_devices(), self.config.ranks, share) if share else 1.0)

    def _nodes(self, address: str) -> list[dict[str, float]]:
        session.connect(address)
        import ray

        return [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]

    def _fit(self, function: RankFunction, folder: Path) -> None:
        from ray.exceptions import RayError
        from ray.train import TrainingFailedError
        from ray.train.v2.api.config import FailureConfig, RunConfig, ScalingConfig
        from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

        from cluster.ranks import RankConfig, run_rank

        trainer = DataParallelTrainer(
            partial(run_rank, function, folder / "kill"),
            backend_config=RankConfig(),
            scaling_config=ScalingConfig(
                num_workers=self.config.ranks,
                use_gpu=self.config.device == "cuda",
                resources_per_worker=self._per_rank(),
                placement_strategy="PACK",  # neighbouring ranks on one node
            ),
            run_config=RunConfig(  # type: ignore[arg-type]  # typed for the first Ray Train, checked at run time for the second
                name="train",
                storage_path=str(folder),  # new for each run: Ray silently resumes what it finds under the same name
                # Its default for failures of the controller, a start that timed out among them, is to retry for ever.
                failure_config=FailureConfig(max_failures=0, controller_failure_limit=0),
            ),
        )
        try:
            trainer.fit()
        except (TrainingFailedError, RayError) as error:
            if not self._killed:
                raise _explain(error) from error


def _explain(error: Exception) -> TrainingFailed:
    """Name the rank that failed; one that died before those that only lost it."""
    from ray.train import ControllerError, WorkerGroupError

    if isinstance(error, ControllerError):
        return TrainingFailed(f"Ray could not start the ranks: {_first_line(error.controller_failure)}")
    if not isinstance(error, WorkerGroupError):
        return TrainingFailed(f"Ray failed: {_first_line(error)}")
    for rank, failure in sorted(error.worker_failures.items()):
        if hasattr(failure, "health_check_failure"):
            return TrainingFailed(f"rank {rank} died: its process crashed or was killed (out of memory?)", killed=True)
    rank, failure = min(error.worker_failures.items())
    os.write(2, f"{error}\n".encode())  # to ray.log: a rank that failed before it had a log of its own left its traceback nowhere else
    return TrainingFailed(f"rank {rank} failed: {_first_line(failure)}")


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
