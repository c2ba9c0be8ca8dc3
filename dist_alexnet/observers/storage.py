"""Copies a run to other storage while it goes on (docs/checkpoints.md): from the process that started it, whichever ranks die."""

import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dist_alexnet.checkpoints.files import list_checkpoints
from dist_alexnet.checkpoints.publish import Kept
from dist_alexnet.checkpoints.remote import Remote, check_uri, first_line
from dist_alexnet.checkpoints.state import STATE_FILE, own_error
from dist_alexnet.config import WEEK_S, Config, UsageError, check_range
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.observers import Observer
from dist_alexnet.runs.records import CheckpointSaved, Record

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0  # between tries, while the storage does not answer


class Behind(RuntimeError):  # noqa: N818 - what happened, not an error of ours
    """The run is over, and the storage has not all of it."""


class Storage(Observer):
    """A thread makes the storage like the run folder: when a checkpoint is complete, and at the end."""

    @dataclass(frozen=True)
    class Options:
        """Fields of `observers.storage`."""

        uri: str = ""  # of the place where runs are, for pyarrow.fs; credentials come from the environment
        wait_s: float = 60.0  # at the end of a run, for storage that does not answer

        def __post_init__(self) -> None:
            check_range("observers.storage", self, 0, WEEK_S, "wait_s")
            if "://" not in self.uri:
                raise UsageError("observers.storage.uri is no URI; type --storage with one, as s3://BUCKET/PATH or file:///PATH")
            check_uri(self.uri)

    def __init__(self, config: Config, directory: RunDirectory, options: Options) -> None:
        self.linger_s, self._uri, self._directory = options.wait_s, options.uri, directory
        self._remote = Remote(options.uri, directory.path.name)
        self._kept = Kept(config.train.keep_checkpoints, config.train.keep_best)
        self._there: dict[str, bytes] = {}  # state.json of the checkpoints that the storage has
        self._seen: dict[str, tuple[int, int]] = {}  # files as they were when they were copied: size, time
        self._due, self._over = threading.Event(), threading.Event()
        self._failure = ""
        self._thread: threading.Thread | None = None

    def begin(self, earlier: Iterable[Record]) -> str:
        """See whether it can be written, and is not another run's, before anything starts."""
        self._remote.check()
        self._refuse_another_run(earlier)
        self._thread = threading.Thread(target=self._run, name="storage", daemon=True)
        self._thread.start()
        return f"storage: {self._uri}, run {self._directory.path.name}"

    def see(self, record: Record) -> None:
        """Copy what a checkpoint has changed."""
        if isinstance(record, CheckpointSaved):
            self._due.set()

    def close(self) -> None:
        """Copy what is left, for as long as the storage may take (Behind: it does not answer)."""
        if not self._thread:
            return
        self._over.set()
        self._due.set()
        self._thread.join(self.linger_s)
        if self._thread.is_alive() or self._failure:
            told = self._failure or "it is still being copied"
            raise Behind(f"{self._uri} has not all of this run ({told}); its files are in {self._directory.path}")

    def _refuse_another_run(self, earlier: Iterable[Record]) -> None:
        """Of a run that is gone on with, this machine has something: what `--resume` fetched, if nothing else."""
        known = bool(next(iter(earlier), None) or list_checkpoints(self._directory.checkpoints))
        there, _ = self._remote.checkpoints()
        if known and not self._remote.has_another(self._directory.metrics):
            return
        if there or self._remote.first_record(self._directory.metrics.name):
            raise UsageError(
                f"--storage {self._uri} has another run {self._directory.path.name}, with {len(there)} checkpoint(s), which would be "
                f"overwritten; type {'' if known else '--resume auto to go on with it, or '}another {'--storage' if known else '--name'}"
            )

    def _run(self) -> None:
        pause, deadline = FIRST_PAUSE_S, float("inf")
        while True:
            self._due.clear()  # before what it announces is looked at: what comes after that sets it again
            last = self._over.is_set()
            if last:
                deadline = min(deadline, time.monotonic() + self.linger_s)
            try:
                self._copy()
            except (OSError, UsageError) as error:
                self._failure = first_line(error)
                if time.monotonic() + pause > deadline:
                    return
                (time.sleep if last else self._over.wait)(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
                continue
            pause, self._failure = FIRST_PAUSE_S, ""
            if last:
                return
            self._due.wait()

    def _copy(self) -> None:
        """Make it like the run folder (OSError: it does not answer)."""
        there, broken = self._remote.checkpoints()
        self._there = {name: self._there.get(name) or self._remote.read(_state(name)) or b"" for name in there}
        here = list_checkpoints(self._directory.checkpoints)
        for checkpoint in reversed(here):
            with suppress(FileNotFoundError):  # the run has newer ones, and deletes it
                state = (checkpoint / STATE_FILE).read_bytes()
                if self._there.get(checkpoint.name) != state:
                    self._there.pop(checkpoint.name, None)
                    self._remote.put_checkpoint(checkpoint)
                    self._there[checkpoint.name] = state
        for name in [*self._doomed([checkpoint.name for checkpoint in here]), *(name for name in broken if name not in self._there)]:
            self._remote.delete_checkpoint(name)
            self._there.pop(name, None)
        for file in (self._directory.config, self._directory.environment, self._directory.metrics, self._directory.summary):
            self._copy_file(file)

    def _doomed(self, here: Sequence[str]) -> list[str]:
        """Those that need not stay there; what the run has kept here stays, and is newer than all others, whatever its step."""
        order = sorted(self._there, key=lambda name: (name in here, int(name[5:])))
        return [name for name in self._kept.doomed(order, lambda name: own_error(self._there[name])) if name not in here]

    def _copy_file(self, file: Path) -> None:
        try:
            status = file.stat()
        except FileNotFoundError:
            if file == self._directory.summary:  # of an earlier attempt
                self._remote.delete(file.name)
            return
        seen = (status.st_size, status.st_mtime_ns)
        if self._seen.get(file.name) != seen:
            self._remote.put(file, file.name)
            self._seen[file.name] = seen


def _state(checkpoint: str) -> str:
    return f"checkpoints/{checkpoint}/{STATE_FILE}"
