"""What each rank publishes through the metrics of a real Ray cluster, as whoever watches the cluster finds it."""

import json
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.records import Steps
from tests.conftest import Command
from tests.monitoring.prometheus_server import Server, prometheus
from tests.orchestration.ray_head import free_port, head

WAIT_S = 120
Trained = tuple[Path, Server | None]


def wait_for(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT_S
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return value


@pytest.fixture(scope="module", name="trained")
def fixture_trained(workplace: Path, dist_alexnet: Command, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
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
        done = dist_alexnet("train", *typed)
        assert done.returncode == 0, done.stderr
        yield targets, server


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
    found = wait_for(lambda: (names := scraped(trained[0])) and len(names) > 10 and names)
    for family in found.values():
        for sample in family:
            assert sample.labels["run"] == sample.labels["ray_train_run_name"] == "on-a-cluster"
            assert sample.labels["strategy"] == "channel_split"
            assert sample.labels["rank"] == sample.labels["ray_train_worker_world_rank"]
    forward = {
        sample.labels["rank"]: sample.value for sample in found["ray_dist_alexnet_phase_seconds"] if sample.labels["phase"] == "forward"
    }
    for rank in (0, 1):
        assert forward[str(rank)] == pytest.approx(sum(each.steps * each.phase_seconds_by_rank[rank]["forward"] for each in records))
    (images,) = found["ray_dist_alexnet_images"]
    assert (images.labels["rank"], images.value) == ("0", 2 * 96), "the run's, told once"
    assert {(sample.labels["rank"], sample.value) for sample in found["ray_dist_alexnet_step"]} == {("0", 12), ("1", 12)}


@pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed (Debian: apt install prometheus)")
def test_a_prometheus_that_follows_ray_has_them_without_a_further_target(trained: Trained) -> None:
    server = trained[1]
    assert server
    series = server.wait_for('sum by (run, rank) (ray_dist_alexnet_phase_seconds_total{strategy="channel_split"})')
    assert {each["metric"]["rank"] for each in series} == {"0", "1"}
    assert not server.ask('up{job="dist_alexnet"}')


def test_nothing_of_it_stands_in_the_way_of_a_run(trained: Trained, workplace: Path) -> None:
    logs = [path.read_text() for path in (workplace / "runs" / "on-a-cluster" / "logs").iterdir()]
    assert not any("no longer published" in text for text in logs)
