"""Dashboards and rules of cluster/monitoring: what is committed is what the generator gives, and alerts come when they should."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cluster.monitoring.generate import FOLDER, dashboards
from dist_alexnet.observers.counts import STATES
from dist_alexnet.observers.families import FAMILIES, PREFIX
from dist_alexnet.telemetry.clock import PHASES

MONITORING = FOLDER.parent
needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed (Debian: apt install prometheus)")


def test_the_dashboards_are_what_the_generator_gives() -> None:
    made = dashboards()
    assert {path.name for path in FOLDER.iterdir()} == set(made)
    for name, text in made.items():
        assert (FOLDER / name).read_text() == text, "type python -m cluster.monitoring.generate"


def expressions() -> Iterator[str]:
    """Of all dashboards and rules."""
    for file in FOLDER.glob("*.json"):
        for panel in json.loads(file.read_text())["panels"]:
            yield from (target["expr"] for target in panel.get("targets", ()))
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def test_they_ask_for_names_phases_and_states_that_there_are() -> None:
    known = set(FAMILIES) | {f"{name}_bucket" for name, family in FAMILIES.items() if family.kind == "histogram"}
    asked = {name for text in expressions() for name in re.findall(rf"\b{PREFIX}(\w+)(?!\w|:)", text)}
    assert asked <= known
    assert len(known - asked) < len(asked)
    for label, values in (("phase", PHASES), ("state", STATES)):
        named = {word for text in expressions() for part in re.findall(rf'{label}[=!]~?"([^"]+)"', text) for word in part.split("|")}
        assert named <= set(values)
        assert named


def test_what_compose_mounts_is_there() -> None:
    mounts = [
        volume for service in yaml.safe_load((MONITORING / "compose.yml").read_text())["services"].values() for volume in service["volumes"]
    ]
    ours = [mount.partition(":")[0] for mount in mounts if mount.startswith("./")]
    assert len(ours) == 4
    assert all((MONITORING / path).exists() for path in ours)


@needs_promtool
@pytest.mark.parametrize("arguments", [("rules", "alerts.yml"), ("config", "prometheus.yml")])
def test_promtool_finds_no_fault(arguments: tuple[str, str]) -> None:
    done = subprocess.run(["promtool", "check", *arguments], cwd=MONITORING, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _series(name: str, values: str, **labels: str) -> dict[str, str]:
    written = ",".join(f'{key}="{value}"' for key, value in ({"run": "a", "strategy": "ddp"} | labels).items())
    return {"series": f"{PREFIX}{name}{{{written}}}", "values": values}


HOURS = "x200"  # a sample each minute
TRAINING = _series("run_state", f"1{HOURS}", state="training")
CASES = {
    # Time begins at 0, so that what was last said at 0 is older by each minute; reports come each minute.
    "DistAlexnetStuck": (
        [_series("last_record_timestamp_seconds", f"0{HOURS}"), _series("report_seconds", f"60{HOURS}"), TRAINING], 10, 12,
    ),
    "DistAlexnetStage": ([_series("run_state", f"1{HOURS}", state="checkpoint")], 59, 60),
    "DistAlexnetGone": ([{"series": 'up{job="dist_alexnet",run="a"}', "values": f"1 1 1 0{HOURS}"}], 3, 4),
    "DistAlexnetFailed": ([_series("run_state", f"0 0 1{HOURS}", state="failed")], 1, 2),
    "DistAlexnetLossNotFinite": ([_series("non_finite_losses_total", f"0 0 1{HOURS}")], 1, 2),
    "DistAlexnetBadImages": ([_series("bad_images_total", f"0 0 1{HOURS}")], 1, 2),
    "DistAlexnetCheckpointLost": ([_series("checkpoint_failures_total", f"0 0 1{HOURS}")], 1, 2),
    "DistAlexnetDataBound": (
        [
            _series("data_wait_seconds_total", "0+30x200", rank="0"),
            _series("phase_seconds_total", "0+30x200", rank="0", phase="data_wait"),
            _series("phase_seconds_total", "0+30x200", rank="0", phase="forward"),
        ],
        10, 12,  # not 11: what it asks for is computed by another group of rules, perhaps after it
    ),
    "DistAlexnetStraggler": (
        [
            *(_series("phase_seconds_total", f"0+{60 if rank == '1' else 30}x200", rank=rank, phase="forward") for rank in "012"),
            *(_series("phase_seconds_total", f"0+{0 if rank == '1' else 30}x200", rank=rank, phase="rank_wait") for rank in "012"),
        ],
        10, 12,
    ),
    "DistAlexnetSlower": ([_series("images_per_second", "100x100 70x100"), TRAINING], 101, 130),
}  # fmt: skip


@needs_promtool
def test_every_alert_comes_when_it_should_and_not_before(tmp_path: Path) -> None:
    shutil.copy(MONITORING / "alerts.yml", tmp_path)
    tests = []
    for name, (series, before, after) in CASES.items():
        count = f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) or vector(0)'
        moments = [
            {"expr": count, "eval_time": f"{time}m", "exp_samples": [{"labels": "{}", "value": fired}]}
            for time, fired in ((before, 0), (after, 1))
        ]
        tests.append({"name": name, "interval": "1m", "input_series": series, "promql_expr_test": moments})
    (tmp_path / "tests.yml").write_text(yaml.safe_dump({"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run(["promtool", "test", "rules", "tests.yml"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    alerts = [
        rule["alert"]
        for group in yaml.safe_load((tmp_path / "alerts.yml").read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    assert set(CASES) == set(alerts)
