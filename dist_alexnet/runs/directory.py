"""The folder of a run, where the driver and all its ranks write.

runs/<name>/
    config.yaml      resolved configuration
    env.json         versions and machine
    metrics.jsonl    one object per line, append-only: kind, attempt, step, ...
    logs/rank_K.log  everything that rank K printed; rank_K.error.json if it failed, launcher.log if their launcher did
    checkpoints/     step-NNNNNNNN/
    summary.json     written at the end
"""

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dist_alexnet.config import UsageError
from dist_alexnet.json_text import to_json
from dist_alexnet.runs.reader import Reader
from dist_alexnet.runs.records import Record
from dist_alexnet.runs.writable import remedy

PROBE_BYTES = 2**16
ATTEMPT = "DIST_ALEXNET_ATTEMPT"  # variable of the environment of a rank: a name that no other attempt has


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
        """A file that asks the ranks to write a checkpoint and stop: those of the attempt that it names, or, if it is empty, any."""
        return self.path / "stop"

    def asked_to_stop(self) -> bool:
        """Whether it asks this rank. A file server may still show the one that was meant for an earlier attempt."""
        try:
            return self.stop_request.read_text() in ("", os.environ.get(ATTEMPT, ""))
        except OSError:
            return False

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
            self.probe()
            self.forget_attempt()
            for path, text in ((self.config, config), (self.environment, environment)):
                _keep_old(path, text)
                _write_whole(path, text)

    def forget_attempt(self) -> None:
        """Take away what says how an attempt ended, before another one begins."""
        for stale in (self.stop_request, self.summary, *self.log(0).parent.glob("rank_*.error.json")):
            stale.unlink(missing_ok=True)

    def probe(self) -> None:
        """Write where a run writes, and leave nothing behind (OSError: it cannot be; names the file or folder)."""
        path = self.path
        try:
            for path in (self.path, self.log(0).parent, self.checkpoints):
                if path != self.checkpoints or os.path.lexists(path):  # which the first of them makes
                    with tempfile.TemporaryFile(dir=path) as file:
                        file.write(bytes(PROBE_BYTES))
            for path in (self.metrics, *self.log(0).parent.glob("rank_*.log")):
                if os.path.lexists(path):  # of an earlier attempt
                    path.open("ab").close()
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error

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

    def records(self) -> Iterator[Record]:
        """Of metrics.jsonl, as far as it has come."""
        return Reader(self.metrics).new(unfinished=True)


def _keep_old(path: Path, text: str) -> None:
    """Give a file that is about to be replaced by another content the first number that is free."""
    if path.exists() and path.read_bytes() != text.encode():
        numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in itertools.count(1))
        shutil.copyfile(path, next(name for name in numbered if not name.exists()))


def _write_whole(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.unfinished")  # where the disk is full, half a file stays under this name
    part.write_text(text, encoding="utf-8")
    part.rename(path)
