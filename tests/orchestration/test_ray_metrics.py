"""What each rank publishes through the metrics of a real Ray cluster, as whoever watches the cluster finds it."""

import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.records import Steps
from tests.monitoring.prometheus_server import Server, prometheus
from tests.orchestration.ray_head import free_port, head

pytestmark = pytest.mark.slow  # a head node with its dashboard takes longer to start than all else together
WAIT_S = 120
GAUGES = {"step": 2, "memory_peak_bytes": 2, "images_per_second": 1, "loss": 1, "learning_rate": 1}  # and how many ranks have each


@dataclass(frozen=True)
class Trained:
    """What is left to look at."""

    targets: Path  # Ray's file
    during: dict[str, list[Any]]  # what was scraped while the ranks were there
    server: Server | None


def wait_for(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT_S
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return value


@pytest.fixture(scope="module", name="trained")
def fixture_trained(workplace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """Ray's file of targets after a run, and a Prometheus that reads it."""
    options = ["--include-dashboard=true", f"--dashboard-port={free_port()}"]
    with ExitStack() as running:
        address, folder = running.enter_context(head(*options, RAY_metrics_report_interval_ms="500"))
        targets = folder / "prom_metrics_service_discovery.json"
        wait_for(targets.exists)
        server = None
        if shutil.which("prometheus"):
            place = tmp_path_factory.mktemp("ray") / "prometheus"
            server = running.enter_context(prometheus(place, workplace / "nothing", targets))
        typed = ["-c", "tiny.yaml", "--gpus", "2", "--launcher", "ray", f"launch.address={address}", "--name", "on-a-cluster"]
        command = [sys.executable, "-m", "dist_alexnet", "train", *typed, "--epochs", "1000"]
        run = subprocess.Popen(command, cwd=workplace, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        running.callback(run.kill)
        during = wait_for(lambda: (found := scraped(targets)) and whole(found) and found)
        run.send_signal(signal.SIGINT)
        assert run.wait() == 128 + signal.SIGINT
        yield Trained(targets, during, server)


def whole(found: dict[str, list[Any]]) -> bool:
    """Whether all ranks have said something."""
    return all(len(found.get(f"ray_dist_alexnet_{name}", ())) == ranks for name, ranks in GAUGES.items())


def scraped(targets: Path) -> dict[str, list[Any]]:
    """Samples of our families on all targets that Ray names."""
    families: list[Metric] = []
    for group in json.loads(targets.read_text()):
        for target in group["targets"]:
            with suppress(OSError), urllib.request.urlopen(f"http://{target}/metrics") as answer:
                families += text_string_to_metric_families(answer.read().decode())
    return {family.name: family.samples for family in families if "dist_alexnet" in family.name}


def test_each_rank_publishes_its_share(trained: Trained, workplace: Path) -> None:
    records = [record for record in RunDirectory(workplace / "runs" / "on-a-cluster").records() if isinstance(record, Steps)]
    for family in trained.during.values():
        for sample in family:
            assert sample.labels["run"] == sample.labels["ray_train_run_name"] == "on-a-cluster"
            assert sample.labels["strategy"] == "channel_split"
            assert sample.labels["rank"] == sample.labels["ray_train_worker_world_rank"]
    for name, ranks in GAUGES.items():
        assert {sample.labels["rank"] for sample in trained.during[f"ray_dist_alexnet_{name}"]} == set("01"[:ranks]), name
    images = wait_for(lambda: [each for each in scraped(trained.targets)["ray_dist_alexnet_images"] if each.value == 16 * len(records)])
    assert [sample.labels["rank"] for sample in images] == ["0"], "the run's, told once"
    phases = scraped(trained.targets)["ray_dist_alexnet_phase_seconds"]
    forward = {sample.labels["rank"]: sample.value for sample in phases if sample.labels["phase"] == "forward"}
    for rank in (0, 1):
        assert forward[str(rank)] == pytest.approx(sum(each.steps * each.phase_seconds_by_rank[rank]["forward"] for each in records))


@pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed (Debian: apt install prometheus)")
def test_a_prometheus_that_follows_ray_has_them_without_a_further_target(trained: Trained) -> None:
    server = trained.server
    assert server
    series = server.wait_for('sum by (run, rank) (ray_dist_alexnet_phase_seconds_total{strategy="channel_split"})')
    assert {each["metric"]["rank"] for each in series} == {"0", "1"}
    assert not server.ask('up{job="dist_alexnet"}')


def test_nothing_of_it_stands_in_the_way_of_a_run(trained: Trained, workplace: Path) -> None:
    logs = [path.read_text() for path in (workplace / "runs" / "on-a-cluster" / "logs").iterdir()]
    assert not any("no longer published" in text for text in logs)
