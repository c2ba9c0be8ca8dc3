"""A run for TensorBoard, in `tb/` of its folder: scalars by step, and the first layer's filters after each validation."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from dist_alexnet.config import Config, UsageError
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.observers import Observer
from dist_alexnet.runs.records import CheckpointSaved, Record, RunStarted, Steps, Validated

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoard(Observer):
    """Writes event files."""

    @dataclass(frozen=True)
    class Options:
        """Fields of `observers.tensorboard`."""

        filters: bool = True  # as pictures

    def __init__(self, config: Config, directory: RunDirectory, options: Options) -> None:
        self._options, self._directory = options, directory
        self._folder = directory.path / "tb"
        self._writer: SummaryWriter | None = None
        self._validated = False  # and no checkpoint since
        self._folder.mkdir(exist_ok=True)

    def begin(self, earlier: Iterable[Record]) -> str:
        """Write what earlier attempts have done if nobody has."""
        if not any(self._folder.iterdir()):
            for record in earlier:
                self.see(record)
        return ""

    def see(self, record: Record) -> None:
        """Write one record, under the time when it was written itself."""
        if isinstance(record, RunStarted):
            self._open(record)
        if not self._writer:
            return
        match record:
            case Steps() | Validated():
                for name, value in _scalars(record):
                    if value is not None:
                        self._writer.add_scalar(name, value, record.step, walltime=record.time)
                self._validated |= isinstance(record, Validated)
            case CheckpointSaved():
                self._saved(record)
        self._writer.flush()  # what a kill takes with it is not written again

    def close(self) -> None:
        """Write what is left."""
        if self._writer:
            self._writer.close()

    def _open(self, record: RunStarted) -> None:
        """Begin a file that takes back the steps that are about to be done again."""
        from torch.utils.tensorboard import SummaryWriter  # here: it takes a second

        self.close()
        purge_step = record.step + 1 if record.attempt else None
        self._writer = SummaryWriter(str(self._folder), purge_step=purge_step)

    def _saved(self, record: CheckpointSaved) -> None:
        assert self._writer
        if record.seconds is not None:
            self._writer.add_scalar("seconds/checkpoint", record.seconds, record.step, walltime=record.time)
        if self._validated and self._options.filters:
            from dist_alexnet.observers.filters import filters, picture

            with suppress(OSError, KeyError, UsageError, SafetensorError):  # the run has newer ones, and has deleted it
                weights = filters(self._directory.checkpoints / record.path)
                self._writer.add_image("conv1", picture(weights), record.step, walltime=record.time)
        self._validated = False


def _scalars(record: Steps | Validated) -> Iterator[tuple[str, float | None]]:
    """Names and numbers of a record."""
    if isinstance(record, Validated):
        yield from (("error/top1", record.top1_error), ("error/top5", record.top5_error))
        yield from (("loss/validation", record.loss), ("seconds/validation", record.seconds))
        return
    yield "loss/training", float("nan") if record.loss is None else record.loss
    yield from (("learning_rate", record.lr), ("epoch", record.epoch), ("images_per_second", record.total_ips))
    yield "seconds/step", record.step_seconds
    yield from ((f"phase/{name}", seconds) for name, seconds in record.phase_seconds.items())
    yield from ((f"exposed/{name}", seconds) for name, seconds in record.exposed_seconds.items())
    for name, passes in record.exchange_bytes_per_step.items():
        yield f"bytes_per_step/{name}", sum(passes.values())
    yield from ((f"memory_bytes/rank_{rank}", size) for rank, size in enumerate(record.peak_memory_bytes_by_rank))
