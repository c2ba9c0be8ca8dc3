"""state.json: what a checkpoint holds besides tensors, and whether it can be believed. Needs no torch."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import NoneType
from typing import Any

from dist_alexnet.config import UsageError
from dist_alexnet.data.sealed import checksum, seal
from dist_alexnet.json_text import to_json
from dist_alexnet.redact import tree_without_secrets

STATE_FILE = "state.json"
FORMAT = 2  # 1: each rank's rows in a file of its own, without checksums


class Damaged(UsageError):  # noqa: N818 - what happened, not an error of ours
    """A checkpoint is not whole; the message names the file and what is wrong with it, not what to do."""


@dataclass(frozen=True)
class TrainingState:
    """Where a run stands."""

    step: int  # optimizer steps done
    position: int  # images taken from the endless stream of training images
    validated_at: int  # position of the newest validation
    optimizer: Mapping[str, Any]
    schedule: Mapping[str, Any]
    config: Mapping[str, Any]  # resolved
    versions: Mapping[str, str]
    classes: list[str]
    subtracted: str | None = None  # from the images, as `Crops.subtracted` says it; None: nobody wrote it down
    train_images: int | None = None  # of the set, whose number decides on their order; None: nobody wrote it down
    validation: Mapping[str, Any] | None = None  # its result
    format: int = FORMAT
    files: Mapping[str, str] = field(default_factory=dict)  # with tensors: path in the checkpoint -> SHA-256; format 1 has none

    @property
    def own_error(self) -> float | None:
        """Top-1 error of these very weights; None: the newest validation was of earlier ones, or there was none."""
        return self.validation["top1_error"] if self.validation and self.validated_at == self.position else None

    @property
    def written_by(self) -> str:
        """The program that wrote it, in words."""
        return f"dist-alexnet {self.versions.get('dist-alexnet', 'of an unknown version')}"


_NUMBER, _NUMBER_OR_NULL = (int, float), (int, float, NoneType)
_SHAPE: dict[str, Any] = {  # of what is read back without being looked at again
    "step": int,
    "position": int,
    "validated_at": int,
    "optimizer": {"last_lr": {"conv": _NUMBER_OR_NULL, "linear": _NUMBER_OR_NULL}},
    "schedule": {"best_error": _NUMBER_OR_NULL, "validations_since_best": int, "drops": int},
    "config": {section: {} for section in ("model", "data", "train", "strategy", "launch")},
    "versions": {},
    "classes": list,
}
_VALIDATION = {"top1_error": _NUMBER, "top5_error": _NUMBER, "loss": _NUMBER_OR_NULL, "images": int}


def write_state(checkpoint: Path, state: TrainingState) -> None:
    """Write state.json, with a checksum of its own."""
    content = asdict(replace(state, config=tree_without_secrets(state.config)))
    (checkpoint / STATE_FILE).write_text(to_json(seal(content), indent=1))


def read_state(checkpoint: Path) -> TrainingState:
    """The state of a checkpoint.

    Raises:
        Damaged: the file is missing, cut short or not what it should be.
        UsageError: a newer version wrote it.
    """
    file = checkpoint / STATE_FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"), parse_constant=_no_number)
    except (OSError, ValueError, RecursionError) as error:
        raise Damaged(f"checkpoint {checkpoint} has no readable {STATE_FILE} ({error})") from None
    if not isinstance(content, dict):
        raise Damaged(f"checkpoint {checkpoint} has no readable {STATE_FILE} (it holds no object)")
    if "sha256" in content and content.pop("sha256") != checksum(content):  # the first checkpoints of format 2 have none
        raise Damaged(f"{file} is not as it was written: its SHA-256 is another")
    _check_format(checkpoint, content)
    shape = _SHAPE | ({"validation": _VALIDATION} if content.get("validation") is not None else {})
    if misfit := _misfit("", content, shape | ({"files": {}} if content["format"] > 1 else {})):
        raise Damaged(f"checkpoint {checkpoint} has no readable {STATE_FILE} ({misfit})")
    return TrainingState(**{each.name: content[each.name] for each in fields(TrainingState) if each.name in content})


def own_error(text: bytes) -> float | None:
    """`TrainingState.own_error` of a state.json that lies elsewhere; None, too, if it is none."""
    try:
        content = json.loads(text)
        return float(content["validation"]["top1_error"]) if content["validated_at"] == content["position"] else None
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _check_format(checkpoint: Path, content: dict[str, Any]) -> None:
    number = content.setdefault("format", 1)
    if not isinstance(number, int) or number < 1:
        raise Damaged(f"checkpoint {checkpoint} has no readable {STATE_FILE} (its format is {number!r})")
    if number > FORMAT:
        versions = content.get("versions")
        writer = versions.get("dist-alexnet", "unknown") if isinstance(versions, dict) else "unknown"
        raise UsageError(
            f"checkpoint {checkpoint} is of format {number}, written by dist-alexnet {writer}, and this version reads up to {FORMAT}; "
            "install that version to read it"
        )


def _misfit(where: str, value: Any, shape: Any) -> str:
    """What of a value has not the shape, in words; empty if it all has. Numbers that count something are not negative."""
    name = where.lstrip(".")
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"{name} is no object"
        missing = [key for key in shape if key not in value]
        inner = (_misfit(f"{where}.{key}", value[key], kind) for key, kind in shape.items() if key in value)
        return f"{where}.{missing[0]} is missing".lstrip(".") if missing else next(filter(None, inner), "")
    if not isinstance(value, shape) or isinstance(value, bool):
        return f"{name} is {repr(value)[:40]}"
    return f"{name} is negative" if shape is int and value < 0 else ""


def _no_number(text: str) -> float:
    raise ValueError(f"it says {text}")
