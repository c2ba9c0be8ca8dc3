"""What Prometheus is told of a run, in a registry of each test's own."""

import json
import math
import os
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from dist_alexnet.config import Config, LaunchConfig, StrategyConfig, UsageError
from dist_alexnet.observers.counts import BOUNDS
from dist_alexnet.observers.families import FAMILIES, PREFIX
from dist_alexnet.observers.prometheus import Prometheus
from dist_alexnet.resolve import parse_options
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.reader import Reader
from dist_alexnet.runs.records import Record
from dist_alexnet.training import meter
from tests.unit.observers.records import FIRST, SECOND, saved, started, steps, write

CONFIG = Config(strategy=StrategyConfig("ddp", {}), launch=LaunchConfig(name="local"))
RUN = {"run": "run", "strategy": "ddp"}


class Hub:
    """An observer and its registry."""

    def __init__(self, directory: RunDirectory, **options: Any) -> None:
        directory.create()
        self.registry = CollectorRegistry()
        self.observer = Prometheus(CONFIG, directory, Prometheus.Options(**options), self.registry)
        self.line = self.observer.begin(Reader.from_now_on(directory.metrics).before().new())
        self.url = self.line.removeprefix("metrics: ")

    def see(self, *records: Record) -> None:
        for record in records:
            self.observer.see(record)

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(PREFIX + name, RUN | labels)


@contextmanager
def hub(folder: Path, **options: Any) -> Iterator[Hub]:
    made = Hub(RunDirectory(folder / "run"), **options)
    try:
        yield made
    finally:
        made.observer.close()


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


def test_it_answers_while_the_run_goes_on_and_is_found_by_its_files(tmp_path: Path) -> None:
    file, url = tmp_path / ".prometheus" / "run.json", tmp_path / "run" / "metrics.url"
    with hub(tmp_path) as seen:
        assert seen.url.startswith("http://127.0.0.1:")
        assert url.read_text() == seen.url + "\n"
        address = seen.url.removeprefix("http://").removesuffix("/metrics")
        assert json.loads(file.read_text()) == [{"targets": [address], "labels": {"run": "run"}}]
        with urllib.request.urlopen(seen.url) as answer:
            assert b"dist_alexnet_restarts_total" in answer.read()
        seen.see(*SECOND)
    assert not url.exists()
    assert not file.exists()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(seen.url)


def test_a_run_that_fails_stays_a_target_until_it_ends_well_or_its_folder_goes(tmp_path: Path) -> None:
    file = tmp_path / ".prometheus" / "run.json"
    with hub(tmp_path) as seen:
        seen.see(*FIRST)
    assert seen("run_state", state="failed") == 1
    assert file.exists()
    with hub(tmp_path) as seen:
        seen.see(*SECOND)
    assert not file.exists()
    with hub(tmp_path):
        pass
    assert not file.exists(), "no rank has started"
    with hub(tmp_path) as seen:
        seen.see(started())
    assert file.exists()
    (tmp_path / "run" / "metrics.jsonl").unlink(missing_ok=True)
    for path in sorted((tmp_path / "run").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (tmp_path / "run").rmdir()
    other = Hub(RunDirectory(tmp_path / "other"))
    assert not file.exists()
    other.observer.close()


def test_a_target_whose_port_another_run_has_got_is_none(tmp_path: Path) -> None:
    first = Hub(RunDirectory(tmp_path / "first"))
    port = int(first.url.split(":")[2].partition("/")[0])
    first.see(started())
    first.observer.close()
    assert (tmp_path / ".prometheus" / "first.json").exists()
    second = Hub(RunDirectory(tmp_path / "second"), port=port)
    assert [path.name for path in (tmp_path / ".prometheus").iterdir()] == ["second.json"]
    second.observer.close()


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        told = rf"^cannot listen on 127.0.0.1, port {port}: Address already in use; type another --metrics-port, or 0 for a free one$"
        with pytest.raises(UsageError, match=told), hub(tmp_path, port=port):
            pass
    assert not (tmp_path / ".prometheus").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"host": "no.such.host.invalid"}, "^--metrics-host 'no.such.host.invalid' is no name or address that this machine knows; type"),
        ({"host": "192.0.2.77"}, "^cannot listen on 192.0.2.77, port 0: Cannot assign requested address; type a --metrics-host of this"),
    ],
)
def test_an_address_that_is_not_ours_is_said(tmp_path: Path, options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told), hub(tmp_path, **options):
        pass


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"port": 65536}, "observers.prometheus.port=65536: must be from 0 to 65,535"),
        ({"port": -1}, "observers.prometheus.port=-1: must be from 0 to 65,535"),
        ({"host": " "}, "observers.prometheus.host is empty; type an address of this machine"),
        ({"linger_s": float("nan")}, "observers.prometheus.linger_s=nan: must be from 0 to 600"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parse_options("prometheus", Prometheus.Options, options, "observers.prometheus")


def test_it_listens_to_others_only_where_somebody_says_so(tmp_path: Path) -> None:
    with hub(tmp_path, host="0.0.0.0") as seen:
        assert socket.gethostname() in seen.url
        port = seen.url.rpartition(":")[2].removesuffix("/metrics")
        assert urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").status == 200


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    tmp_path.chmod(0o555)
    with pytest.raises(UsageError, match="^cannot write .*prometheus: Permission denied; leave --metrics-port out"), hub(tmp_path):
        pass
    tmp_path.chmod(0o755)


def test_something_else_under_the_name_of_its_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / ".prometheus").write_text("")
    with pytest.raises(UsageError, match="^cannot write .*prometheus: File exists; leave --metrics-port out"), hub(tmp_path):
        pass


def test_the_bounds_of_the_histogram_are_those_of_the_records() -> None:
    assert tuple(map(float, BOUNDS)) == meter.BOUNDS


def test_steps_under_other_bounds_fall_into_the_next(tmp_path: Path) -> None:
    with hub(tmp_path) as seen:
        seen.see(started(), steps(2))
        seen.observer._counts.series.observe("step_duration_seconds", 600.0, {"0.3": 1, "500": 1, "inf": 1})
        assert seen("step_duration_seconds_bucket", le="0.5") == 2
        assert (seen("step_duration_seconds_bucket", le="100.0"), seen("step_duration_seconds_bucket", le="+Inf")) == (3, 5)
        seen.see(saved(4))
