"""What the driver hands to every rank."""

from dataclasses import dataclass
from pathlib import Path

from dist_alexnet.config import Config
from dist_alexnet.runs.directory import RunDirectory


@dataclass(frozen=True)
class Job:
    """One training run, as every rank receives it."""

    config: Config
    directory: RunDirectory
    data: Path  # folder with train/ and val/
    resume: Path | None = None  # checkpoint to start from
