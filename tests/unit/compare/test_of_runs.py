"""A comparison of runs that are over, from what they left."""

from pathlib import Path
from typing import Any

import pytest

from dist_alexnet.compare.of_runs import compare_runs
from dist_alexnet.compare.report.page import report
from dist_alexnet.config import UsageError
from dist_alexnet.json_text import to_json
from dist_alexnet.resolve import resolve, to_yaml
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.metrics import MetricsFile
from dist_alexnet.runs.records import RunStarted, Steps
from dist_alexnet.telemetry.clock import PHASES


def a_run(
    folder: Path, strategy: str, ranks: int, seconds: list[float], machine: str = "a processor", attempt: int = 0, **train: Any
) -> Path:
    """Reports of 10 steps of 8 images each; steps take so many seconds."""
    directory = RunDirectory(folder)
    directory.create()
    model = {"image_size": 36, "classes": 4, "widths": {"fc6": 20, "fc7": 24}}
    config = resolve({"model": model, "strategy": {"name": strategy}, "train": {"global_batch": 8, **train}}, ["launch.name=local"])
    directory.config.write_text(to_yaml(config))
    directory.environment.write_text(to_json({"processor": machine, "cores": 2, "versions": {"torch": "2"}}))
    metrics = MetricsFile(directory.metrics, attempt)
    metrics.write(
        RunStarted(step=0, epoch=0, total_epochs=1, total_steps=9, strategy=strategy, world_size=ranks, device="cpu", global_batch=8)
    )
    for number, each in enumerate(seconds, start=1):
        phases = {**dict.fromkeys(PHASES, 0.0), "forward": each}
        metrics.write(
            Steps(
                step=10 * number,
                epoch=0,
                lr=0.1,
                loss=1.0,
                steps=10,
                images=80,
                step_seconds=each,
                phase_seconds=phases,
                phase_seconds_by_rank=[phases] * ranks,
                cpu_seconds_by_rank=[each] * ranks,
                peak_memory_bytes_by_rank=[2**20] * ranks,
            )
        )
    return folder


def test_the_first_report_is_warm_up_and_the_rest_is_compared(tmp_path: Path) -> None:
    one, two = a_run(tmp_path / "one", "single", 1, [9, 2, 2]), a_run(tmp_path / "two", "ddp", 2, [9, 1, 1])
    made = compare_runs([one, two])
    single, ddp = made.results
    assert (single.ips.median, ddp.ips.median, ddp.times["single"].median, ddp.efficiency) == (4, 8, 2, 1)
    assert ddp.cpu_seconds_per_image == pytest.approx(2 / 8)
    assert ddp.memory_measured
    assert ddp.memory_bytes == 2**20
    assert ddp.linear_share
    assert made.notes == ["runs, one after the other and not in turn: what else their machines did is in the ratios"]
    assert "two (ddp) on 2 computes in 100% of its step" in report(made)


def test_what_makes_them_not_comparable_is_said(tmp_path: Path) -> None:
    one = a_run(tmp_path / "one", "single", 1, [9, 2], epochs=3)
    two = a_run(tmp_path / "two", "ddp", 2, [9, 1], machine="another", lr=0.5, epochs=7)
    _, *notes = compare_runs([one, two]).notes
    assert notes == ["two against one: train.lr is 0.5, not 0.01", "two against one: processor is another, not a processor"]


def test_a_run_of_which_only_the_records_are_left(tmp_path: Path) -> None:
    one = a_run(tmp_path / "one", "single", 1, [9, 2])
    lost = a_run(tmp_path / "lost", "ddp", 2, [9, 1])
    RunDirectory(lost).config.unlink()
    RunDirectory(lost).environment.write_text("{")
    assert [result.linear_share for result in compare_runs([one, lost]).results] == [None, None]


def test_of_a_resumed_run_the_newest_attempt_that_has_reported_twice(tmp_path: Path) -> None:
    one = a_run(tmp_path / "one", "single", 1, [9, 2])
    two = a_run(tmp_path / "two", "single", 1, [9, 9, 9])
    a_run(tmp_path / "two", "ddp", 2, [9, 1], attempt=1)
    a_run(tmp_path / "two", "ddp", 4, [5], attempt=2)
    result = compare_runs([one, two]).results[1]
    assert (result.strategy, result.ranks, result.ips.median, result.ips.values) == ("ddp", 2, 8, 1)


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    folders = [a_run(tmp_path / machine / "run", "ddp", 2, [9, 1]) for machine in ("here", "there")]
    made = compare_runs([*folders, folders[0]])
    assert [result.name for result in made.results] == [f"{folder} (ddp)" for folder in folders]
    assert f"{folders[0]} (ddp) on 2 computes" in report(made)


def test_lines_that_are_no_records_are_passed_over(tmp_path: Path) -> None:
    one, two = a_run(tmp_path / "one", "single", 1, [9, 2]), a_run(tmp_path / "two", "ddp", 2, [9, 1])
    file = RunDirectory(two).metrics
    good = file.read_text()
    last = good.splitlines()[-1]
    wrong = [last.replace('"steps": 10', f'"steps": {steps}') for steps in ("0", '"ten"', "null")] + [
        last.replace('"version": ', '"version": "x')
    ]
    file.write_text("\n".join([*good.splitlines(), *wrong, "[1]", ""]))
    RunDirectory(two).config.write_bytes(b"\xff")
    RunDirectory(two).environment.write_text("[1]")
    assert compare_runs([one, two]).results[1].ips.values == 1


@pytest.mark.parametrize(
    "content", ["", "half a line", '{"kind": "train", "version": 2}\n', '{"kind": "start", "version": 2, "step": 0}\n']
)
def test_what_has_not_reported_twice_is_refused(tmp_path: Path, content: str) -> None:
    one = a_run(tmp_path / "one", "single", 1, [9, 2])
    RunDirectory(tmp_path / "two").create()
    RunDirectory(tmp_path / "two").metrics.write_text(content)
    with pytest.raises(UsageError, match="has not reported twice yet"):
        compare_runs([one, tmp_path / "two"])


def test_records_of_a_later_version_are_refused(tmp_path: Path) -> None:
    one = a_run(tmp_path / "one", "single", 1, [9, 2])
    RunDirectory(tmp_path / "two").create()
    RunDirectory(tmp_path / "two").metrics.write_text('{"kind": "train", "version": 99}\n')
    with pytest.raises(UsageError, match="version 99"):
        compare_runs([one, tmp_path / "two"])
