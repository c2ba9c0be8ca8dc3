"""What the driver hands to every rank, and where they all write.

runs/<name>/
    config.yaml      resolved configuration
    env.json         versions and machine
    metrics.jsonl    one object per line, append-only: kind, attempt, step, ...
    logs/rank_K.log  everything that rank K printed; rank_K.error.json if it failed, launcher.log if their launcher did
    checkpoints/     step-NNNNNNNN/
    summary.json     written at the end
"""

import itertools
import json
import shutil
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dist_alexnet.config import Config, UsageError
from dist_alexnet.json_text import to_json
from dist_alexnet.training.writable import probe, remedy

WAITING_FAILED = ("RuntimeError", "DistBackendError", "DistNetworkError", "DistStoreError")  # what torch raises in a collective


@dataclass(frozen=True)
class RunDirectory:
    """Paths of a run; absolute, because workers may have another working directory."""

    path: Path

    @property
    def config(self) -> Path:
        """Resolved configuration."""
        return self.path / "config.yaml"

    @property
    def environment(self) -> Path:
        """Versions and machine."""
        return self.path / "env.json"

    @property
    def metrics(self) -> Path:
        """Numbers of the run, a JSON object per line."""
        return self.path / "metrics.jsonl"

    @property
    def summary(self) -> Path:
        """Result of the run."""
        return self.path / "summary.json"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def stop_request(self) -> Path:
        """A file that asks the ranks to write a checkpoint and stop; its presence is the message."""
        return self.path / "stop"

    def log(self, rank: int) -> Path:
        """What a rank printed."""
        return self.path / "logs" / f"rank_{rank}.log"

    def error(self, rank: int) -> Path:
        """How a rank failed."""
        return self.path / "logs" / f"rank_{rank}.error.json"

    def create(self) -> None:
        """Make the folder, or take one that is there as it is: another process may be training in it.

        Raises:
            UsageError: it cannot be written.
        """
        with self.writing():
            self.log(0).parent.mkdir(parents=True, exist_ok=True)

    def begin(self, config: str, environment: str) -> None:
        """Begin an attempt in a folder that is ours alone: forget how the one before it ended, write config.yaml and env.json.

        Where an earlier attempt had others, these stay as config-1.yaml, config-2.yaml, ...

        Raises:
            UsageError: it cannot be written, or something else lies under a name that it needs.
        """
        with self.writing():
            probe(self)
            for stale in (self.stop_request, self.summary, *self.log(0).parent.glob("rank_*.error.json")):
                stale.unlink(missing_ok=True)
            for path, text in ((self.config, config), (self.environment, environment)):
                _keep_old(path, text)
                _write_whole(path, text)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Leave the result, whole or not at all."""
        _write_whole(self.summary, to_json(summary, indent=2) + "\n")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Say in one line what stands in the way of writing (UsageError)."""
        try:
            yield
        except OSError as error:
            mend = remedy(error)
            raise UsageError(
                f"cannot write {error.filename or self.path}: {error.strerror}; "
                f"{mend and f'{mend}, or '}type --output-dir with a folder you can write to"
            ) from None

    def read_metrics(self) -> Iterator[dict[str, Any]]:
        """Records of metrics.jsonl; what is none is left out, as a line that a kill or a full disk cut short."""
        if self.metrics.exists():
            for line in self.metrics.read_bytes().split(b"\n"):
                with suppress(ValueError, RecursionError):
                    record = json.loads(line)
                    if isinstance(record, dict) and "kind" in record:
                        yield record


def _keep_old(path: Path, text: str) -> None:
    """Give a file that is about to be replaced by another content the first number that is free."""
    if path.exists() and path.read_bytes() != text.encode():
        numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in itertools.count(1))
        shutil.copyfile(path, next(name for name in numbered if not name.exists()))


def _write_whole(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.unfinished")  # where the disk is full, half a file stays under this name
    part.write_text(text, encoding="utf-8")
    part.rename(path)


@dataclass(frozen=True)
class Job:
    """One training run, as every rank receives it."""

    config: Config
    directory: RunDirectory
    data: Path  # folder with train/ and val/
    resume: Path | None = None  # checkpoint to start from


@dataclass(frozen=True)
class EvaluationJob:
    """One evaluation, as every rank receives it."""

    config: Config
    directory: RunDirectory
    data: Path  # folder with train/ and val/
    checkpoints: tuple[Path, ...]  # their networks are averaged; one may be there several times
    views: int = 1  # of each image: 1, the centre, or 10
    confusion: bool = False  # count who is taken for whom


@dataclass(frozen=True)
class RankFailure:
    """How one rank failed."""

    rank: int
    kind: str  # class of the exception, or "signal"
    message: str
    trace: str

    @property
    def timed_out(self) -> bool:
        """It waited in vain for another rank. Torch says so in the text alone."""
        return "timed out" in self.message.lower() and self.kind in WAITING_FAILED

    @staticmethod
    def record(directory: RunDirectory, rank: int, error: BaseException) -> "RankFailure":
        """Write down how this rank failed, for the driver to find."""
        failure = RankFailure(rank, type(error).__name__, str(error) or type(error).__name__, traceback.format_exc())
        with suppress(OSError):  # a full disk, say: the failure itself must go on its way
            directory.error(rank).write_text(to_json(failure.__dict__))
        return failure

    @staticmethod
    def all(directory: RunDirectory) -> "list[RankFailure]":
        """The failures on record, the earliest first: it is the cause, the others follow from it.

        The order is that of the files, whose times are of one clock, the file system's; each node has its own.
        A record that a full disk cut short, or that somebody has deleted, is left out.
        """
        failures = []
        for path in directory.log(0).parent.glob("rank_*.error.json"):
            with suppress(ValueError, TypeError, OSError):
                failures.append((path.stat().st_mtime_ns, path.name, RankFailure(**json.loads(path.read_text()))))
        return [failure for *_, failure in sorted(failures, key=lambda found: found[:2])]


class TrainingFailed(RuntimeError):  # noqa: N818 - what happened, not an error of ours
    """A run ended without a result; the message is for the person who started it (exit code 1)."""

    def __init__(self, message: str, *, killed: bool = False, exit_code: int = 1) -> None:
        """`killed`: a rank died of a signal, and what the others report only follows from it."""
        super().__init__(message)
        self.killed, self.exit_code = killed, exit_code


class NonFiniteLoss(ArithmeticError):  # noqa: N818
    """The loss is no number any more."""
