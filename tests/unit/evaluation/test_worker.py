"""What a rank asks of the loader, and what it leaves for the driver."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from dist_alexnet.batch import Batch
from dist_alexnet.config import Config
from dist_alexnet.evaluation import worker
from dist_alexnet.evaluation.job import EvaluationJob
from dist_alexnet.evaluation.prepare import EvaluationRequest, prepare_evaluation
from dist_alexnet.parallel.world import World
from dist_alexnet.runs.directory import RunDirectory
from tests.unit.asking import ask, write_checkpoint


class FakeLoader:
    """Three images, the last of which does not decode."""

    asked: ClassVar[list[tuple[Any, ...]]] = []
    bad: ClassVar[list[str]] = ["the third: it does not decode"]

    def __init__(self, *arguments: object) -> None:
        pass

    def eval_batches(self, global_batch: int, rows_of: object, *views: int) -> Iterator[Batch]:
        self.asked.append((global_batch, *views))
        for _ in range(*views or (1,)):
            yield Batch(torch.ones(3, 3, 36, 36), torch.tensor([0, 3, -1]), torch.arange(3), 3)


@contextmanager
def alone(config: Config, directory: RunDirectory) -> Iterator[World]:
    yield World()


@pytest.fixture
def job(tmp_path: Path, preset: str, monkeypatch: pytest.MonkeyPatch) -> EvaluationJob:
    checkpoint = write_checkpoint(ask(tmp_path, preset))  # all weights are 0: every class ties with every other
    request = EvaluationRequest([checkpoint], ["strategy.name=single", "launch.workers=1"], views=10, confusion=True)
    monkeypatch.setattr(worker, "rank_process", alone)
    monkeypatch.setattr(worker, "Loader", FakeLoader)
    monkeypatch.setattr(FakeLoader, "asked", [])
    return prepare_evaluation(request, RunDirectory(tmp_path / "evaluation")).job


@pytest.mark.filterwarnings("ignore:torch.distributed is")
def test_ten_views_of_each_image_are_asked_for_and_counted_once(job: EvaluationJob) -> None:
    worker.evaluate_rank(job)
    assert FakeLoader.asked == [(16, 10)]
    summary = json.loads(job.directory.summary.read_text())
    assert summary["status"] == "completed"
    assert summary["val"] == pytest.approx(
        {"top1_error": 0.75, "top5_error": 0, "loss": torch.tensor(4.0).log().item(), "images": 2, "bad_images": 1}, rel=1e-6
    )
    assert summary["bad_images"] == ["the third: it does not decode"]
    assert summary["by_class"] == {"images": [1, 0, 0, 1], "top1_error": [0.75, None, None, 0.75], "top5_error": [0, None, None, 0]}
    assert summary["confusions"] == [[0, 0, 1], [3, 0, 1]]
