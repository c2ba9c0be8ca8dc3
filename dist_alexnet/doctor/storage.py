"""The folder of runs: whether it can be written as a run writes it, and has room for what a run leaves."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from dist_alexnet.config import Config
from dist_alexnet.doctor.checks import Asked, Finding, in_words
from dist_alexnet.runs.directory import RunDirectory

SYNC_BYTES = 2**20


def storage(asked: Asked) -> Iterator[Finding]:
    """Free room, and what is done to files there."""
    folder = existing(asked.output_dir)
    usage = shutil.disk_usage(folder)
    need = _need(asked.config)
    short = usage.free < need
    keep = "type train.keep_checkpoints=1, make room, or type --output-dir with a folder on a larger disk"
    yield Finding(
        f"{asked.output_dir}: {in_words(usage.free)} free of {in_words(usage.total)}; checkpoints take up to {in_words(need)}",
        f"a run needs {in_words(need)}; {keep}" if short else "",
        {"free_bytes": usage.free, "needed_bytes": need},
    )
    with RunDirectory(folder).writing():  # says what stands in the way
        seconds = _use(folder)
    yield Finding(
        f"written, locked, renamed and read{'' if folder == asked.output_dir else f' in {folder}'}; 1 MiB reaches the disk in "
        f"{1000 * seconds:.0f} ms",
        numbers={"sync_seconds": seconds},
    )


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _need(config: Config) -> int:
    """Bytes of the checkpoints that are kept, and of the one that is being written."""
    from dist_alexnet.launch.settle import with_generated_classes
    from dist_alexnet.model.networks.alexnet import describe
    from dist_alexnet.update.rule import kept_states

    parameters = sum(layer.parameters for layer in describe(with_generated_classes(config).model))  # of data that nobody has opened: 1000
    states = 1 + len(kept_states(vars(config.train)))
    return parameters * states * (8 if config.train.dtype == "float64" else 4) * (config.train.keep_checkpoints + 1)


def _use(folder: Path) -> float:
    """Do there what a run does; seconds that it takes to have a MiB on the disk (OSError: it cannot be done)."""
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=folder) as inside:
        part, whole, content = Path(inside, "unfinished"), Path(inside, "whole"), os.urandom(SYNC_BYTES)
        with part.open("wb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            began = time.perf_counter()
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
            seconds = time.perf_counter() - began
        part.rename(whole)
        if whole.read_bytes() != content:
            raise OSError(5, "what was read is not what was written", str(whole))
    return seconds
