"""Where the lines go that Ray's C++ writes to this process's stderr: to a file, not between ours."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO


@contextmanager
def errors_to(log: Path) -> Iterator[None]:
    """What libraries and child processes write to stderr goes to a file meanwhile; what this program says stays where it went."""
    log.parent.mkdir(parents=True, exist_ok=True)
    ours = sys.stderr
    terminal = os.dup(2)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 2)
    if _writes_to(ours, 2):
        sys.stderr = _like(ours, terminal)
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = ours
        os.dup2(terminal, 2)
        os.close(terminal)
        with suppress(FileNotFoundError):  # somebody has deleted the folder of the run
            if not log.stat().st_size:
                log.unlink()


def _like(stream: TextIO, descriptor: int) -> TextIO:
    """A stream of the same kind, for it may be one that survives the end of its terminal."""
    kind: Any = type(getattr(stream.buffer, "raw", io.FileIO(descriptor, "w", closefd=False)))
    return io.TextIOWrapper(io.BufferedWriter(kind(descriptor, "w", closefd=False)), stream.encoding, stream.errors, line_buffering=True)


def _writes_to(stream: TextIO | None, descriptor: int) -> bool:
    try:
        return stream is not None and stream.fileno() == descriptor
    except OSError:  # it writes to memory
        return False
