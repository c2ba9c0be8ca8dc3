"""What Prometheus is told of a run, in a registry of each test's own."""

import json
import math
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dist_alexnet.observers.counts import BOUNDS
from dist_alexnet.observers.families import FAMILIES
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.failure import NonFiniteLoss, RankFailure
from dist_alexnet.runs.records import Restarted
from dist_alexnet.training import meter
from tests.unit.observers.hub import Hub, hub
from tests.unit.observers.records import FIRST, SECOND, saved, started, steps, write


def test_records_become_numbers_in_base_units(tmp_path: Path) -> None:
    with hub(tmp_path) as seen:
        seen.see(*FIRST)
        expected: list[tuple[float, str, dict[str, str]]] = [
            (64, "images_total", {}), (4, "steps_total", {}), (4, "step", {}), (0.4, "epoch", {}), (1.5, "loss", {}),
            (0.01, "learning_rate", {}),
            (1.2, "phase_seconds_total", {"rank": "0", "phase": "forward"}),
            (1.2, "phase_seconds_total", {"rank": "1", "phase": "rank_wait"}),
            (0.4, "data_wait_seconds_total", {"rank": "0"}), (2.0, "cpu_seconds_total", {"rank": "0"}),
            (256, "exchange_bytes_total", {"exchange": "gradients", "direction": "backward"}),
            (0.2, "exchange_exposed_seconds_total", {"exchange": "gradients"}), (2000, "memory_peak_bytes", {"rank": "1"}),
            (2, "step_duration_seconds_bucket", {"le": "0.5"}), (4, "step_duration_seconds_count", {}),
            (1.6, "step_duration_seconds_sum", {}),
            (0.5, "error_ratio", {"split": "val", "k": "1"}), (0.25, "error_ratio", {"split": "val", "k": "5"}),
            (4096, "checkpoint_bytes", {}),
            (0.5, "checkpoint_duration_seconds", {}), (2.0, "validation_duration_seconds", {}), (1, "bad_images_total", {}),
            (0, "restarts_total", {}), (40, "images_per_second", {}), (1, "run_state", {"state": "training"}), (20, "steps_planned", {}),
        ]  # fmt: skip
        for value, name, labels in expected:
            assert seen(name, **labels) == pytest.approx(value), name


def test_every_name_is_fed(tmp_path: Path) -> None:
    with hub(tmp_path) as seen:
        seen.see(*FIRST)
        metrics = list(seen.registry.collect())
    assert {metric.name for metric in metrics if not metric.samples} == set()
    assert len(metrics) == len(FAMILIES)
    for metric in metrics:
        assert all({"run", "strategy"} <= sample.labels.keys() for sample in metric.samples)


def test_a_resumed_run_goes_on_counting_from_what_its_folder_says(tmp_path: Path) -> None:
    directory = write(tmp_path / "run", FIRST)
    with directory.metrics.open("a") as file:
        file.write('{"kind": "train", "st')  # the kill came here
    with hub(tmp_path) as seen:
        assert seen("images_total") == 64
        assert (seen("run_state", state="starting"), seen("run_state", state="training")) == (1, 0)
        write(tmp_path / "run", SECOND, attempt=1)
        seen.see(*SECOND)
        assert (seen("images_total"), seen("steps_total"), seen("step"), seen("restarts_total")) == (96, 6, 6, 1)
        assert seen("bad_images_total") == 1, "it is the same image"
        assert seen("error_ratio", split="val", k="1") is None, "of the attempt before"
    with hub(tmp_path) as again:
        assert (again("images_total"), again("restarts_total")) == (96, 1), "from the file alone"


def test_a_world_that_shrank_after_a_failure_is_counted_as_both(tmp_path: Path) -> None:
    write(tmp_path / "run", FIRST)
    with hub(tmp_path) as seen:
        assert (seen("failures_total"), seen("resizes_total")) == (0, 0)
        seen.see(Restarted(step=2, ranks=4, next_ranks=2, why="rank 3 died", failed=True))
        assert (seen("failures_total"), seen("resizes_total")) == (1, 1)


def test_an_attempt_under_another_strategy_leaves_the_counters_of_the_first(tmp_path: Path) -> None:
    with hub(tmp_path) as seen:
        seen.see(*FIRST, started(4, strategy="fsdp"), steps(6))
        assert seen("images_total") == 64
        assert seen("images_total", strategy="fsdp") == 32
        assert seen("loss") is None
        assert seen("loss", strategy="fsdp") == 1.5


def test_a_loss_that_is_not_finite_is_nan_and_counted(tmp_path: Path) -> None:
    with hub(tmp_path) as seen:
        seen.see(started(), steps(2))
        assert seen("non_finite_losses_total") == 0
        seen.see(steps(4, loss=None))
        loss = seen("loss")
        assert loss is not None
        assert math.isnan(loss)
        assert seen("non_finite_losses_total") == 1


def test_a_run_that_a_loss_has_ended_shows_nan_and_counts_nothing_that_its_folder_does_not_say(tmp_path: Path) -> None:
    with hub(tmp_path) as seen:
        seen.see(started(), steps(2))
        RankFailure.record(RunDirectory(tmp_path / "run"), 0, NonFiniteLoss("the loss is nan"))
    loss = seen("loss")
    assert loss is not None
    assert math.isnan(loss)
    assert (seen("run_state", state="failed"), seen("non_finite_losses_total")) == (1, 0)


def test_lines_of_the_first_version_are_counted(tmp_path: Path) -> None:
    directory = write(tmp_path / "run", ())
    lines: list[dict[str, Any]] = [
        {"kind": "start", "step": 0, "epoch": 0, "total_epochs": 1, "total_steps": 4},
        {
            "kind": "train",
            "step": 2,
            "epoch": 0.5,
            "lr": 0.1,
            "loss": 2.0,
            "steps": 2,
            "step_seconds": 1.0,
            "phase_seconds": {"forward": 1.0},
        },
        {"kind": "checkpoint", "step": 2, "path": "step-00000002"},
    ]
    directory.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with hub(tmp_path) as seen:
        assert (seen("steps_total"), seen("images_total"), seen("checkpoints_total")) == (2, 0, 1)
        assert seen("phase_seconds_total", rank="mean", phase="forward") == 2


def test_a_name_that_means_harm_is_only_a_label(tmp_path: Path) -> None:
    name = 'a"} 1\\x{le="+Inf"'
    made = Hub(RunDirectory(tmp_path / name))
    made.see(*FIRST)
    with urllib.request.urlopen(made.url) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    made.observer.close()
    assert {sample.labels["run"] for family in families for sample in family.samples} == {name}


def test_the_bounds_of_the_histogram_are_those_of_the_records() -> None:
    assert tuple(map(float, BOUNDS)) == meter.BOUNDS


def test_steps_under_other_bounds_fall_into_the_next(tmp_path: Path) -> None:
    with hub(tmp_path) as seen:
        seen.see(started(), steps(2))
        seen.observer._counts.series.observe("step_duration_seconds", 600.0, {"0.3": 1, "500": 1, "inf": 1})
        assert seen("step_duration_seconds_bucket", le="0.5") == 2
        assert (seen("step_duration_seconds_bucket", le="100.0"), seen("step_duration_seconds_bucket", le="+Inf")) == (3, 5)
        seen.see(saved(4))
