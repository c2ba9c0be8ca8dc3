"""What the driver hands to every rank of an evaluation."""

from dataclasses import dataclass
from pathlib import Path

from dist_alexnet.config import Config
from dist_alexnet.runs.directory import RunDirectory


@dataclass(frozen=True)
class EvaluationJob:
    """One evaluation, as every rank receives it."""

    config: Config
    directory: RunDirectory
    data: Path  # folder with train/ and val/
    checkpoints: tuple[Path, ...]  # their networks are averaged; one may be there several times
    views: int = 1  # of each image: 1, the centre, or 10
    confusion: bool = False  # count who is taken for whom
