"""Checkpoints seen from outside: which there are, and whether their files are those that were written. Needs no torch."""

import hashlib
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeVar

from dist_alexnet.checkpoints.state import STATE_FILE, Damaged, read_state
from dist_alexnet.config import UsageError

Kind = TypeVar("Kind")

TEMPORARY = ".unfinished-"
READABLE = "type a run folder or checkpoint that you can read"


def folder_name(step: int) -> str:
    """Name of the checkpoint of a step."""
    return f"step-{step:08d}"


def list_checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints in a `checkpoints/` folder, by step; none if there is no such folder.

    Raises:
        UsageError: it cannot be looked into.
    """
    try:
        steps = {path: re.fullmatch(r"step-(\d{8,})", path.name) for path in folder.iterdir()}
        return sorted((path for path, step in steps.items() if step and (path / STATE_FILE).is_file()), key=lambda path: int(path.name[5:]))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"cannot look for checkpoints in {folder}: {error.strerror}; {READABLE}") from None


def best_checkpoint(checkpoints: Sequence[Path]) -> Path | None:
    """The one whose own weights had the lowest top-1 error in a validation, the last of equals; None: of none is that known."""
    return lowest(checkpoints, error_of)


def lowest(checkpoints: Sequence[Kind], error: Callable[[Kind], float | None]) -> Kind | None:
    """The one with the lowest error, the last of equals; None: of none is it known."""
    known = [(value, checkpoint) for checkpoint in checkpoints if (value := error(checkpoint)) is not None]
    least = min((value for value, _ in known), default=None)
    return next((checkpoint for value, checkpoint in reversed(known) if value == least), None)


def error_of(checkpoint: Path) -> float | None:
    """Top-1 error of its own weights; None: it is not known."""
    try:
        return read_state(checkpoint).own_error
    except UsageError:
        return None


def find_checkpoint(path: Path, best: bool = False) -> Path:
    """The checkpoint that a person means by a checkpoint folder, a run folder or a `checkpoints/` folder: the newest in there, or the best.

    Raises:
        UsageError: there is none, or it cannot be looked into.
    """
    try:
        if path.is_dir():
            if (path / STATE_FILE).is_file():
                return path
            for folder in (path / "checkpoints", path):
                if found := list_checkpoints(folder):
                    return _best(found) if best else found[-1]
    except OSError as error:
        raise UsageError(f"cannot look for checkpoints in {path}: {error.strerror}; {READABLE}") from None
    raise UsageError(f"no complete checkpoint in {path}; give a checkpoint (.../checkpoints/step-...) or a run folder")


def _best(found: Sequence[Path]) -> Path:
    if chosen := best_checkpoint(found):
        return chosen
    raise UsageError(f"no checkpoint in {found[-1].parent} was validated when it was written; leave --best out for the newest")


def check_files(checkpoint: Path, without: Collection[str] = ()) -> None:
    """Compare the files of a checkpoint with their checksums; format 1 has none.

    Args:
        checkpoint: its folder.
        without: files that nobody is going to read.

    Raises:
        Damaged: one is missing, unreadable or not as it was written.
    """
    for name, expected in read_state(checkpoint).files.items():
        if name in without:
            continue
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise Damaged(f"{checkpoint / STATE_FILE} names a file outside of the checkpoint, {name!r}")
        try:
            with (checkpoint / name).open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise Damaged(f"{checkpoint / name} cannot be read ({error.strerror})") from None
        if found != expected:
            raise Damaged(f"{checkpoint / name} is not as it was written: its SHA-256 is {found[:12]}..., not {str(expected)[:12]}...")
