"""Checkpoints seen from outside: which there are, whether they are whole, what they say. Needs no torch."""

import json
import math
import struct
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dist_alexnet.config import UsageError

STATE_FILE, TEMPORARY = "state.json", ".unfinished-"


def folder_name(step: int) -> str:
    """Name of the checkpoint of a step; sorts by step."""
    return f"step-{step:08d}"


def list_checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints in a `checkpoints/` folder, oldest first."""
    return sorted(path for path in folder.glob("step-*") if (path / STATE_FILE).is_file())


def find_checkpoint(path: Path) -> Path:
    """The checkpoint that a person means by a checkpoint folder, a run folder or a `checkpoints/` folder: the newest in there.

    Raises:
        UsageError: there is none.
    """
    for folder in (path / "checkpoints", path):
        if found := list_checkpoints(folder):
            return found[-1]
    if (path / STATE_FILE).is_file():
        return path
    raise UsageError(f"no complete checkpoint in {path}; give a checkpoint (.../checkpoints/step-...) or a run folder")


def read_state(checkpoint: Path) -> dict[str, Any]:
    """The state of a checkpoint whose tensors are all there.

    Raises:
        UsageError: a file is missing, cut short or not what it should be; names it.
    """
    try:
        state: dict[str, Any] = json.loads((checkpoint / STATE_FILE).read_text())
        state["step"] + state["position"], dict(state["config"]["model"]), list(state["classes"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"checkpoint {checkpoint} has no readable {STATE_FILE} ({error}); use an older checkpoint") from None
    return state


def check_tensors(checkpoint: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Check from the headers that a checkpoint holds all of these tensors, whole and of these canonical shapes (UsageError if not)."""
    elements: dict[str, int] = defaultdict(int)
    tails: dict[str, list[int]] = {}
    for file in sorted(checkpoint.glob("*.safetensors")):
        for name, shape in _read_header(file).items():
            elements[name] += math.prod(shape)
            tails[name] = list(shape[1:])
    for name, shape in shapes.items():
        if name not in elements:
            raise UsageError(f"checkpoint {checkpoint} lacks {name}: another network, or a file of it is missing")
        if elements[name] != math.prod(shape) or tails[name] != list(shape[1:]):
            there = [elements[name] // max(math.prod(tails[name]), 1), *tails[name]]
            raise UsageError(f"checkpoint {checkpoint} has {name} of shape {there}, this run needs {list(shape)}: another model section")


def _read_header(file: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape, from the header of a safetensors file, whose length must agree with it: 8 bytes of length, JSON, data."""
    size = file.stat().st_size
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header: dict[str, Any] = json.loads(stream.read(min(length, size)))
        header.pop("__metadata__", None)
        end = 8 + length + max((int(entry["data_offsets"][1]) for entry in header.values()), default=0)
        shapes = {name: tuple(int(size) for size in entry["shape"]) for name, entry in header.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error):
        raise UsageError(f"{file} is not a safetensors file, or cut short; use an older checkpoint") from None
    if size != end:
        raise UsageError(f"{file} has {size} bytes, its header says {end}: it is truncated; use an older checkpoint")
    return shapes
