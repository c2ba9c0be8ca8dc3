"""The run as Ray's driver sees it, in a process apart from ours."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cluster import session
from cluster.apart import Say, fail_when_one_ends
from cluster.placement import Node, place, rooms_beside_others
from dist_alexnet.config import UsageError
from dist_alexnet.launch.launcher import Outlook
from dist_alexnet.runs.failure import RoomTaken, TrainingFailed

NODE_ID = "ray.io/node-id"  # the label that Ray gives each node
LOOK_S = 2.0  # between two looks at the cluster
FREE_WAIT_S = 15.0  # for what an earlier attempt held to be given back
FREE_LOOK_S = 0.5


@dataclass(frozen=True)
class Fit:
    """What Ray is to do."""

    function: bytes  # pickled RankFunction: read by the ranks, who import what it needs, and by nobody else
    ranks: int
    cuda: bool
    per_rank: dict[str, float]  # resources
    together: int  # so many neighbours on one node
    threads: int  # of each; 0: the cores of its node, shared
    interface: str | None  # of a node; None: the one by which the cluster reaches it
    address: str | None  # of a cluster; None: a Ray of its own
    gpus: int  # for a Ray of its own
    home: Path  # for a Ray of its own
    storage: Path  # of Ray Train; new for each run: it silently resumes what it finds under the same name
    kill_request: Path  # a file that ends the ranks when it appears
    metrics: Path  # a file that says how the run goes

    def __call__(self, say: Say) -> None:
        """Run the ranks; the failure of one ends the others. Says, on a cluster, what becomes of it: an Outlook at each change."""
        with self._ray(say):
            self._fit(self._place(say) if self.address else [])

    @contextmanager
    def _ray(self, say: Say) -> Iterator[None]:
        if not self.address:
            session.start(self.ranks, self.gpus, self.home)
            fail_when_one_ends(say)
            yield  # who waits for us ends all processes of our own Ray, and faster than it would
            return
        session.connect(self.address)
        import ray

        try:
            yield
        finally:
            ray.shutdown()

    def _place(self, say: Say) -> list[Node]:
        """The node of each rank. What becomes of them is told from now on."""
        deadline = time.monotonic() + FREE_WAIT_S
        while len(placed := place(session.answering(session.nodes_here()), self.ranks, self.per_rank, self.together)) < self.ranks:
            if time.monotonic() > deadline:
                raise RoomTaken(f"the Ray cluster at {self.address} has room for {len(placed)} of {self.ranks} ranks now; type --wait 600")
            time.sleep(FREE_LOOK_S)
        threading.Thread(target=self._look_out, args=(say, placed), daemon=True).start()
        return placed

    def _look_out(self, say: Say, placed: list[Node]) -> None:
        told = Outlook()
        while True:
            time.sleep(LOOK_S)
            try:
                nodes = session.answering(session.nodes_here())
            except Exception:  # the head node does not answer now
                logging.getLogger(__name__).exception("cannot look at the cluster")
                continue
            ours, staying = Counter(node.id for node in placed), [node for node in nodes if not node.leaving]
            now = Outlook(
                tuple(rooms_beside_others(staying, self.per_rank, ours)),
                tuple(node.name for node in nodes if node.leaving and ours[node.id]),
            )
            if now != told:
                say(now)
                told = now

    def _fit(self, placed: list[Node]) -> None:
        from ray.exceptions import RayError
        from ray.train import TrainingFailedError
        from ray.train.v2.api.config import FailureConfig, RunConfig, ScalingConfig
        from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

        from cluster.ranks import RankConfig, run_rank

        trainer = DataParallelTrainer(
            partial(run_rank, self.function, self.kill_request, self.address is None, self.metrics, self.interface),
            backend_config=RankConfig(self.threads),
            scaling_config=ScalingConfig(
                num_workers=self.ranks,
                use_gpu=self.cuda,
                resources_per_worker=self.per_rank,
                placement_strategy="PACK",  # neighbouring ranks on one node
                label_selector=[{NODE_ID: node.id} for node in placed] or None,  # which packing alone would not do for pairs
            ),
            run_config=RunConfig(  # type: ignore[arg-type]  # typed for the first Ray Train, checked at run time for the second
                name="train",
                storage_path=str(self.storage),
                # Its default for failures of the controller, a start that timed out among them, is to retry for ever.
                failure_config=FailureConfig(max_failures=0, controller_failure_limit=0),
            ),
        )
        try:
            trainer.fit()
        except (TrainingFailedError, RayError) as error:
            raise _explain(error) from error


def _explain(error: Exception) -> TrainingFailed:
    """Name the rank that failed: one that was asked for what cannot be had, or else one that died before those that only lost it."""
    from ray.train import ControllerError, WorkerGroupError

    if isinstance(error, ControllerError):
        cause = getattr(error.controller_failure, "cause", None)  # Ray wraps what a rank raises while it is set up
        if isinstance(cause, UsageError):
            return TrainingFailed(str(cause), again=False)
        return TrainingFailed(f"Ray could not start the ranks: {_first_line(error.controller_failure)}")
    if not isinstance(error, WorkerGroupError):
        return TrainingFailed(f"Ray failed: {_first_line(error)}")
    for rank, failure in sorted(error.worker_failures.items()):
        if isinstance(failure, UsageError):  # another attempt would meet the same
            return TrainingFailed(f"rank {rank} failed: {failure}", again=False)
    for rank, failure in sorted(error.worker_failures.items()):
        if hasattr(failure, "health_check_failure"):
            return TrainingFailed(f"rank {rank} died: its process crashed or was killed (out of memory?)", killed=True)
    rank, failure = min(error.worker_failures.items())
    return TrainingFailed(f"rank {rank} failed: {_first_line(failure)}")


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
