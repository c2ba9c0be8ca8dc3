"""A real Prometheus looks at a run that goes on, freezes, is killed and resumed. The tests follow one another, on the same run."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from dist_alexnet.observers.families import FAMILIES, PREFIX
from dist_alexnet.runs.observers import POLL_S
from tests.monitoring.prometheus_server import MONITORING, WINDOW, Server, free_port, in_a_hurry, prometheus

pytestmark = pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed (Debian: apt install prometheus)")


class Run:
    """A training that anybody may disturb, under a port that stays the same."""

    def __init__(self, workplace: Path) -> None:
        self.workplace, self.port = workplace, free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> None:
        typed = ["--name", "watched", "--metrics-port", str(self.port), "train.epochs=1000", *arguments]
        command = [sys.executable, "-m", "dist_alexnet", "train", *typed]
        with (self.workplace / "watched.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.workplace, stdout=log, stderr=log, start_new_session=True)

    def ranks(self) -> list[int]:
        """Processes of it but the driver."""
        assert self.process
        listed = subprocess.run(["ps", "-s", str(self.process.pid), "-o", "pid="], capture_output=True, text=True, check=False).stdout
        return [pid for pid in map(int, listed.split()) if pid != self.process.pid]

    def signal_ranks(self, number: int) -> None:
        for pid in self.ranks():
            os.kill(pid, number)

    def freeze(self) -> str:
        """Stop the ranks; the state that their run is in then."""
        self.signal_ranks(signal.SIGSTOP)
        time.sleep(3 * POLL_S)  # the driver reads what they have written
        state = re.search(r'^dist_alexnet_run_state{.*state="(\w+)".* 1.0$', self.page(), re.MULTILINE)
        assert state
        return state[1]

    def page(self) -> str:
        """What it tells Prometheus."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as answer:
            text: str = answer.read().decode()
            return text

    def end(self, number: int) -> int:
        assert self.process
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        return self.process.wait()


@pytest.fixture(scope="module", name="run")
def fixture_run(workplace: Path) -> Iterator[Run]:
    run = Run(workplace)
    run.start("-c", "tiny.yaml", "--gpus", "2", "train.checkpoint_every=12", "train.validate_every=2")
    yield run
    run.signal_ranks(signal.SIGCONT)
    run.end(signal.SIGKILL)


@pytest.fixture(scope="module", name="server")
def fixture_server(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Which has seen a few steps and checkpoints of the run."""
    folder = tmp_path_factory.mktemp("monitoring")
    with prometheus(folder / "prometheus", run.workplace / "runs", folder / "no-ray.json") as server:
        server.wait_for(f"increase(dist_alexnet_checkpoints_total[{WINDOW}]) > 0 and on (run) dist_alexnet_validations_total > 1")
        server.wait_for("dist_alexnet:images_per_second:baseline and on (run) dist_alexnet:data_wait:share5m")
        yield server


def test_it_finds_the_run_and_knows_whose_the_numbers_are(server: Server, run: Run) -> None:
    (target,) = [each for each in server.get("targets")["activeTargets"] if each["labels"]["job"] == "dist_alexnet"]
    assert (target["health"], target["labels"]["run"], target["lastError"]) == ("up", "watched", "")
    (steps,) = server.ask("dist_alexnet_steps_total")
    assert {name: steps["metric"][name] for name in ("run", "strategy")} == {"run": "watched", "strategy": "channel_split"}
    assert "exported_run" not in steps["metric"]


@pytest.mark.parametrize("file", ["strategies.json", "run.json"])
def test_every_query_of_a_dashboard_finds_something(server: Server, file: str) -> None:
    content = json.loads((MONITORING / "dashboards" / file).read_text())
    queries = [target["expr"] for panel in content["panels"] for target in panel.get("targets", ())]
    assert len(queries) > 10
    for query in queries:
        for old, new in (("$__rate_interval", WINDOW), ("$run", "watched"), ("$strategy", ".*")):
            query = query.replace(old, new)
        server.wait_for(query)
    for variable in content["templating"]["list"][1:]:
        selector = variable["query"].removeprefix("label_values(").rpartition(",")[0].replace("$strategy", ".*")
        assert server.get("series", **{"match[]": selector})


def test_what_the_rules_look_at_is_there(server: Server) -> None:
    rules = yaml.safe_load(in_a_hurry((MONITORING / "alerts.yml").read_text()))
    for group in rules["groups"]:
        for rule in group["rules"]:
            server.ask(rule["expr"])
            for selector in re.findall(r"(?:dist_alexnet[_:][\w:]+|\bup)(?:\{.*?\})?", rule["expr"]):
                server.wait_for(selector)
    health = [rule["health"] for group in server.get("rules")["groups"] for rule in group["rules"]]
    assert set(health) == {"ok"}


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed (Debian: apt install prometheus)")
def test_promtool_has_no_fault_to_find(server: Server, run: Run) -> None:
    done = subprocess.run(["promtool", "check", "metrics"], input=run.page(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_frozen_run_is_called_stuck_until_it_goes_on(server: Server, run: Run) -> None:
    stuck = 'ALERTS{alertname="DistAlexnetStuck",alertstate="firing"}'
    assert not server.ask(stuck)
    while run.freeze() != "training":  # in a checkpoint, say, which is another alert
        run.signal_ranks(signal.SIGCONT)
    (alert,) = server.wait_for(stuck)
    assert alert["metric"]["run"] == "watched"
    assert server.ask('up{run="watched"} == 1'), "its driver answers"
    run.signal_ranks(signal.SIGCONT)
    server.wait_for(stuck, lambda found: not found)


def test_no_counter_of_a_killed_and_resumed_run_goes_back(server: Server, run: Run) -> None:
    run.end(signal.SIGKILL)
    server.wait_for('ALERTS{alertname="DistAlexnetGone",alertstate="firing"}')
    run.start("--resume", "auto")
    server.wait_for("dist_alexnet_restarts_total == 1")
    server.wait_for(f"increase(dist_alexnet_steps_total[{WINDOW}]) > 0")
    counters = [name for name, family in FAMILIES.items() if family.kind == "counter"]
    for name in [*counters, "step_duration_seconds_bucket", "step_duration_seconds_count", "step_duration_seconds_sum"]:
        series = server.ask(f'resets({PREFIX}{name}{{run="watched"}}[10m])')
        assert series, name
        assert {each["value"][1] for each in series} == {"0"}, name
    assert not server.ask('ALERTS{alertname="DistAlexnetGone",alertstate="firing"}')


def test_a_run_that_ends_well_is_no_target_any_more(server: Server, run: Run) -> None:
    assert run.end(signal.SIGINT) == 128 + signal.SIGINT
    server.wait_for('up{job="dist_alexnet"}', lambda found: not found)
    assert not list((run.workplace / "runs" / ".prometheus").iterdir())
