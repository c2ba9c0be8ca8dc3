"""Has a run saved, says how it went, and puts up with a disk that takes no checkpoint until the last one, which must be there."""

import time

from dist_alexnet.checkpoints.files import list_checkpoints
from dist_alexnet.checkpoints.publish import Kept
from dist_alexnet.checkpoints.saves import Saves
from dist_alexnet.checkpoints.state import TrainingState
from dist_alexnet.launch.agreement import Agreement
from dist_alexnet.runs.failure import Lost
from dist_alexnet.runs.metrics import PAUSES_S, MetricsFile
from dist_alexnet.runs.records import CheckpointFailed, CheckpointSaved, Stage
from dist_alexnet.training.job import Job
from dist_alexnet.training.pace import Pace
from dist_alexnet.training.trainer import Trainer


class Keeper:
    """Every rank has one, and they call it together."""

    def __init__(self, job: Job, trainer: Trainer, agreement: Agreement, metrics: MetricsFile, pace: Pace) -> None:
        self._folder, self._metrics, self._pace = job.directory.checkpoints, metrics, pace
        train = job.config.train
        self._copy, kept = train.checkpoint_async, Kept(train.keep_checkpoints, train.keep_best)
        self._saves = Saves(self._folder, trainer.strategy, trainer.network, trainer.optimizer, agreement, kept)
        self._state: TrainingState | None = None  # the newest
        self.failed = 0  # checkpoints that could not be written; known to the first rank

    @property
    def written(self) -> int:
        """What `look` wants the sum of over the ranks."""
        return self._saves.written

    def save(self, state: TrainingState) -> None:
        """Save what the ranks hold now: a copy of it, which is written while they go on."""
        self._state = state
        if self._saves.busy or not self._copy:
            self._metrics.write(Stage(doing="checkpoint"))
        self._saves.begin(state, self._copy)
        if not self._copy:
            self._saves.wait()
        self._tell()

    def look(self, written: float) -> bool:
        """After a step: have done what is due of a save that goes on, and say so if one has ended; whether that took the time of a step.

        Args:
            written: summed over the ranks, at this step or the one before.
        """
        due = self._saves.all_written(written)
        if due:
            self._saves.agree()
        self._tell()
        return due

    def wait(self) -> str:
        """Until no save is going on; returns why the newest one has failed, or nothing."""
        if self._saves.busy:
            self._metrics.write(Stage(doing="checkpoint"))
        failure = self._saves.wait()
        self._tell()
        return failure

    def end(self) -> None:
        """See to it that the newest state is saved (Lost: it cannot be)."""
        failure = self.wait()
        for pause in PAUSES_S if failure else ():
            time.sleep(pause)
            assert self._state
            self._saves.begin(self._state, self._copy)
            if not (failure := self._saves.wait()):
                self._tell()
                break
        if failure and self._state:
            there = list_checkpoints(self._folder)
            stays = f"{there[-1].name} is there" if there else "there is no other"
            raise Lost(
                f"the checkpoint of step {self._state.step} could not be written ({failure}), and {stays}; make room, then --resume auto"
            )

    def _tell(self) -> None:
        for save in self._saves.ended():
            step = save.state.step
            if save.failure:
                self.failed += 1
                self._metrics.write(CheckpointFailed(step=step, reason=save.failure))
                continue
            self._pace.note("checkpoint", save.blocked_seconds)
            self._pace.note("writing", save.seconds)
            self._metrics.write(
                CheckpointSaved(
                    step=step,
                    path=save.target.name,
                    seconds=save.seconds,
                    bytes=save.bytes,
                    blocked_seconds=save.blocked_seconds,
                    top1_error=save.state.own_error,
                )
            )
