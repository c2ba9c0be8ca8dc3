"""The checkpoints that a run leaves, one at a time, while it goes on.

    begin     the ranks exchange what they keep, and each writer copies what it has to write; threads write it, under a temporary name
    written   how many of its parts a rank has on disk, which the ranks add up when they talk anyway
    agree     all of it is there: the checksums go to the first rank, whose thread writes state.json and gives the folder its name
    wait      until then

A run can be killed at any instant: the name comes last. What cannot be written is told and not raised, and leaves the older checkpoints as
they are.
"""

import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from dist_alexnet.checkpoints.background import in_background
from dist_alexnet.checkpoints.checkpoint import collect, written_here
from dist_alexnet.checkpoints.files import folder_name
from dist_alexnet.checkpoints.publish import Kept, clear, discard, make_room, publish, unfinished
from dist_alexnet.checkpoints.state import TrainingState
from dist_alexnet.checkpoints.tensor_file import HeldFile, Rows, Shapes, TensorFile, numbers
from dist_alexnet.checkpoints.tensor_headers import state_file
from dist_alexnet.config import UsageError
from dist_alexnet.model.network import Network
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.update.optimizer import VelocitySGD


class Gathers(Protocol):
    """Whoever can collect a value that JSON can say from all ranks."""

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, by rank, as it comes out of JSON."""


@dataclass(frozen=True)
class Save:
    """How one came out."""

    state: TrainingState
    place: Path  # where it is written
    target: Path  # where it is when it is complete
    begun: float = 0.0  # by time.perf_counter
    blocked_seconds: float = 0.0  # in which no step was taken
    seconds: float = 0.0  # from its beginning to its end
    bytes: int = 0
    failure: str = ""  # why it could not be written


class Saves:
    """Every rank of a run has one, and all call `begin`, `agree` and `wait` together."""

    def __init__(self, folder: Path, strategy: Strategy, network: Network, optimizer: VelocitySGD, ranks: Gathers, kept: Kept) -> None:
        """`folder`: of the checkpoints, in a folder that is there."""
        self._folder, self._kept = folder, kept
        self._strategy, self._network, self._optimizer, self._ranks = strategy, network, optimizer, ranks
        self._begun = 0
        self._copies: dict[str, Tensor] = {}  # by state; kept, for the next one needs them again
        self._save: Save | None = None  # the newest
        self._writing: Future[dict[str, str]] | None = None  # our part of it: file -> SHA-256
        self._publishing: Future[Save] | None = None  # on the first rank, when all parts are there
        self._ended: list[Save] = []

    @property
    def written(self) -> int:
        """How many saves this rank has done its part of."""
        return self._begun - bool(self._writing and not self._writing.done())

    def all_written(self, total: float) -> bool:
        """Whether it is time to `agree`. `total`: of `written` over the ranks, from this step or one before it."""
        return self._writing is not None and total == self._begun * self._strategy.world.world_size

    @property
    def busy(self) -> bool:
        """One is not done yet."""
        return self._writing is not None or self._publishing is not None

    def begin(self, state: TrainingState, copy: bool = True) -> None:
        """Save what the ranks hold now; waits for the one before.

        Args:
            state: where the run stands.
            copy: return when it is copied; without, when it is written, which takes the memory of one tensor at a time.
        """
        if self._writing:
            self.agree()
        self._end()
        started = time.perf_counter()
        failure: OSError | None = None
        place, target = unfinished(self._folder, state.step), self._folder / folder_name(state.step)
        if self._strategy.world.rank == 0:
            try:
                make_room(self._folder, state.step)
            except OSError as error:
                failure = error
        dist.barrier()
        files = {kind: self._file(place, kind, shapes, copy) for kind, shapes in written_here(self._strategy, self._optimizer).items()}
        collect(files, self._strategy, self._network, self._optimizer)
        self._begun += 1
        self._save = Save(state, place, target, begun=started)
        self._writing = in_background("checkpoint", lambda: _close(files, failure))
        if not copy:
            self._writing.exception()  # waits
        self._waited(started)

    def agree(self) -> None:
        """Tell the first rank the checksums, and let it end the save."""
        assert self._writing
        assert self._save
        started = time.perf_counter()
        files, failure = _outcome(self._writing)
        told = self._ranks.gather([files, failure])
        self._writing = None
        self._waited(started)
        if self._strategy.world.rank == 0:
            save = replace(self._save, failure=next((failure for _, failure in told if failure), ""))
            state = replace(save.state, files={file: sha256 for files, _ in told for file, sha256 in files.items()})
            self._publishing = in_background("checkpoint", lambda: self._publish(replace(save, state=state)))

    def wait(self) -> str:
        """Until no save is going on; returns why the newest one has failed, or nothing."""
        if self._writing:
            self.agree()
        self._end()
        return str(self._ranks.gather(self._save.failure if self._save else "")[0])

    def ended(self) -> list[Save]:
        """On the first rank: those that have ended since the last call."""
        if self._publishing and self._publishing.done():
            self._end()
        ended, self._ended = self._ended, []
        return ended

    def _file(self, place: Path, kind: str, shapes: Shapes, copy: bool) -> Rows:
        path, dtype = place / state_file(kind), self._network.precision.parameter
        if not copy:
            return TensorFile(path, shapes, dtype)
        if kind not in self._copies:
            pinned = self._strategy.world.device.type == "cuda"
            self._copies[kind] = torch.empty(numbers(shapes), dtype=dtype, pin_memory=pinned)
        return HeldFile(path, shapes, dtype, self._copies[kind])

    def _publish(self, save: Save) -> Save:
        failure, size = save.failure, 0
        if not failure:
            try:
                size = publish(save.place, save.state, self._kept)
            except OSError as error:
                failure = _reason(error)
        if failure:
            discard(save.place)
            with suppress(OSError, UsageError):
                clear(self._folder, self._kept)  # what need not stay may be in the way
        return replace(save, failure=failure, bytes=size, seconds=time.perf_counter() - save.begun)

    def _end(self) -> None:
        """Wait for the thread of the first rank."""
        if self._publishing:
            assert self._save
            started, done = time.perf_counter(), self._publishing.result()
            self._publishing = None
            self._save = replace(done, blocked_seconds=self._save.blocked_seconds)
            self._waited(started)
            self._ended.append(self._save)

    def _waited(self, started: float) -> None:
        """No step was taken since then because of the newest save."""
        assert self._save
        self._save = replace(self._save, blocked_seconds=self._save.blocked_seconds + time.perf_counter() - started)


def _close(files: dict[str, Rows], failure: OSError | None) -> dict[str, str]:
    if failure:
        raise failure
    return {state_file(kind): file.close() for kind, file in files.items()}


def _outcome(writing: "Future[dict[str, str]]") -> tuple[dict[str, str], str]:
    """Checksums by file, or why they could not be written; waits. What is no fault of the disk is raised."""
    try:
        return writing.result(), ""
    except OSError as error:
        return {}, _reason(error)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
