"""The last step of a checkpoint, which the first rank takes when all files are written, and which ones stay beside it. Needs no torch."""

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dist_alexnet.checkpoints.files import TEMPORARY, Kind, error_of, folder_name, list_checkpoints, lowest
from dist_alexnet.checkpoints.state import STATE_FILE, TrainingState, write_state
from dist_alexnet.config import UsageError


@dataclass(frozen=True)
class Kept:
    """Which checkpoints stay."""

    newest: int = 0  # so many; 0: all
    best: bool = False  # and the one with the lowest validation error

    def doomed(self, checkpoints: Sequence[Kind], error: Callable[[Kind], float | None]) -> list[Kind]:
        """Those that do not.

        Args:
            checkpoints: all that there are, the newest last.
            error: validation error of one; None: it is not known.
        """
        old = checkpoints[: -self.newest] if self.newest else []
        best = lowest(checkpoints, error) if old and self.best else None
        return [checkpoint for checkpoint in old if checkpoint != best]


def unfinished(folder: Path, step: int) -> Path:
    """Where the files of a checkpoint are written before it has its name."""
    return folder / (TEMPORARY + folder_name(step))


def make_room(folder: Path, step: int) -> Path:
    """An empty folder for the files of a step; what runs that were killed have left goes (OSError: it cannot be made)."""
    folder.mkdir(exist_ok=True)  # and not the run folder, which somebody may just be deleting
    for leftover in folder.glob(TEMPORARY + "*"):
        shutil.rmtree(leftover)
    place = unfinished(folder, step)
    place.mkdir()
    return place


def publish(place: Path, state: TrainingState, kept: Kept) -> int:
    """Give a checkpoint its name, all files but state.json being on disk, and delete what need not stay beside it.

    Returns:
        Its size in bytes.

    Raises:
        OSError: it cannot be written; what was there before is there still.
    """
    write_state(place, state)
    _flush(place / STATE_FILE, *{path.parent for path in place.rglob("*.safetensors")})
    size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    target = place.with_name(folder_name(state.step))
    doomed = [_set_aside(target)] if target.exists() else []  # the same step once more, after a resume
    place.rename(target)
    _flush(target.parent)
    _delete(doomed)
    with suppress(OSError, UsageError):  # it is complete, and the next one clears up
        clear(target.parent, kept, newest=target)
    return size


def clear(folder: Path, kept: Kept, newest: Path | None = None) -> None:
    """Delete the checkpoints that need not stay.

    Args:
        folder: of the checkpoints.
        kept: which stay.
        newest: counts as the newest, whatever its step: others are of an attempt that had come further, and was given up.
    """
    others = [checkpoint for checkpoint in list_checkpoints(folder) if checkpoint != newest]
    _delete([_set_aside(old) for old in kept.doomed([*others, *([newest] if newest else [])], error_of)])


def discard(place: Path) -> None:
    """Give back the room that a checkpoint has taken which cannot be finished."""
    shutil.rmtree(place, ignore_errors=True)


def _set_aside(checkpoint: Path) -> Path:
    """Take its name from a checkpoint that is to be deleted, so that a kill in between does not leave half of one under it."""
    return checkpoint.rename(checkpoint.with_name(f"{TEMPORARY}old-{checkpoint.name}"))


def _delete(checkpoints: list[Path]) -> None:
    for checkpoint in checkpoints:
        with suppress(OSError):  # the next one tries again
            shutil.rmtree(checkpoint)


def _flush(*paths: Path) -> None:
    """Have the system write files or folders to disk."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
