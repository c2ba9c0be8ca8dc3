"""`dist-alexnet compare`, run as a person does: one rank and pairs, and what it leaves."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dist_alexnet.compare.race import read_rounds
from dist_alexnet.telemetry.clock import PHASES
from tests.conftest import Command

ARGUMENTS = ["compare", "-c", "tiny.yaml", "--strategies", "single,ddp,channel_split", "--gpus", "2", "-b", "16", "--warmup", "0"]
LABELS = {("single", 1), ("ddp", 2), ("channel_split", 2)}


@pytest.fixture(scope="module")
def compared(dist_alexnet: Command) -> dict[str, Any]:
    """What it says as JSON."""
    done = dist_alexnet(*ARGUMENTS, "--rounds", "9", "--out", "compared", "--json")
    assert done.returncode == 0, done.stderr
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def test_all_are_equal_and_measured_in_turn(compared: dict[str, Any], workplace: Path) -> None:
    folder = workplace / "compared"
    assert json.loads((folder / "compare.json").read_text()) == compared
    assert json.loads((folder / "certificate.json").read_text())["passed"]
    results = {(result["name"], result["ranks"]): result for result in compared["results"]}
    assert set(results) == LABELS
    rounds = read_rounds(folder / "rounds-16.jsonl")
    assert len(rounds) == 9
    for place, result in enumerate(compared["results"]):
        assert result["equality"] == ("equal" if result["name"] != "single" else "the one-process run itself")
        assert len(result["phases"]) == result["ranks"]
        seconds = [each[place]["seconds"] for each in rounds]
        assert result["ips"]["low"] == pytest.approx(16 / max(seconds))
        assert result["ips"]["high"] == pytest.approx(16 / min(seconds))
        for phases in result["phases"]:
            assert set(phases) == set(PHASES)
        assert result["cpu_seconds_per_image"] > 0
        assert result["limit"].startswith(f"{result['name']} on {result['ranks']} ")
    assert results["ddp", 2]["times"]["ddp"]["median"] == 1.0 == results["single", 1]["times"]["single"]["median"]
    assert set(results["channel_split", 2]["times"]) == {"single", "ddp"}
    assert results["ddp", 2]["sent"]["gradients"]["backward"] > 0
    assert not results["single", 1]["sent"]


def test_spreadsheets_and_a_page_that_needs_no_network(compared: dict[str, Any], workplace: Path) -> None:
    rows = list(csv.DictReader((workplace / "compared" / "compare.csv").open()))
    assert [float(row["images_per_second"]) for row in rows] == [result["ips"]["median"] for result in compared["results"]]
    page = (workplace / "compared" / "report.html").read_text()
    assert "src=" not in page.replace(page[page.index("<script>") : page.index("</script>")], ""), "nothing is loaded from anywhere"
    assert page.count("<details>") == len(LABELS)


def test_a_table_for_a_terminal_of_80_columns(dist_alexnet: Command, compared: dict[str, Any]) -> None:
    again = dist_alexnet(*ARGUMENTS, "--rounds", "9", "--out", "compared", "--resume")
    assert again.returncode == 0, again.stderr
    assert "warm up" not in again.stderr, "all rounds are there"
    for name, ranks in LABELS:
        assert f"{name} on {ranks} " in again.stdout
    assert max(len(line) for line in again.stdout.splitlines() if line.startswith(" ddp on")) <= 80


def test_it_goes_on_where_it_was_stopped(compared: dict[str, Any], workplace: Path) -> None:
    shutil.copytree(workplace / "compared", workplace / "stopped")  # whose equality is known
    _rounds(workplace / "stopped", 9, 400)
    command = [sys.executable, "-m", "dist_alexnet", *ARGUMENTS, "--rounds", "400", "--out", "stopped", "--resume"]
    running = subprocess.Popen(command, cwd=workplace, stderr=subprocess.PIPE, text=True, start_new_session=True)
    file = workplace / "stopped" / "rounds-16.jsonl"
    while len(read_rounds(file)) < 12 and running.poll() is None:
        time.sleep(0.05)
    os.kill(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "to go on: the same command with --out" in said
    before = read_rounds(file)
    assert 12 <= len(before) < 400
    _rounds(workplace / "stopped", 400, len(before) + 2)
    with file.open("a") as stream:
        stream.write('[{"seconds": ')  # what a kill leaves
    more = [*ARGUMENTS, "--rounds", str(len(before) + 2), "--out", "stopped", "--resume"]
    done = subprocess.run([sys.executable, "-m", "dist_alexnet", *more], cwd=workplace, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"rounds {len(before) + 1} to {len(before) + 2}" in done.stderr
    assert read_rounds(file)[: len(before)] == before
    assert len(read_rounds(file)) == len(before) + 2


def _rounds(folder: Path, before: int, after: int) -> None:
    """As if so many had been asked for."""
    request = folder / "request.json"
    request.write_text(request.read_text().replace(f'"rounds": {before}', f'"rounds": {after}'))


def test_slower_than_before_fails(dist_alexnet: Command, compared: dict[str, Any], workplace: Path) -> None:
    faster = json.loads(json.dumps(compared))
    for result in faster["results"]:
        result["ips"] = {key: value * 100 if key != "values" else value for key, value in result["ips"].items()}
    (workplace / "faster.json").write_text(json.dumps(faster))
    again = [*ARGUMENTS, "--rounds", "9", "--out", "compared", "--resume", "--against"]
    slow = dist_alexnet(*again, "faster.json", "--fail-if-slower", "5%")
    assert slow.returncode == 1
    assert slow.stderr.count("slower than before by more than 5.0%") == len(LABELS)
    same = dist_alexnet(*again, "compared", "--fail-if-slower", "5%")
    assert same.returncode == 0, same.stderr


@pytest.mark.slow  # tests/unit/compare/test_request.py has the refusal, without processes
def test_who_rounds_is_in_no_certificate(dist_alexnet: Command, workplace: Path) -> None:
    names = ["compare", "-c", "tiny.yaml", "--strategies", "ddp,ddp:gradient_wire=bfloat16", "--gpus", "2", "-b", "16", "--rounds", "1"]
    done = dist_alexnet(*names, "--warmup", "0", "--inexact", "--out", "inexact", "--json")
    assert done.returncode == 0, done.stderr
    assert [result["equality"][:7] for result in json.loads(done.stdout)["results"]] == ["equal", "inexact"]
    (case,) = json.loads((workplace / "inexact" / "certificate.json").read_text())["cases"]
    assert case["options"] == {}


@pytest.mark.parametrize("typed", [["--gpus", "2"], ["--resume"], ["--data", "x"], ["-b", "3"]])
def test_what_would_do_nothing_beside_runs_is_refused(dist_alexnet: Command, typed: list[str]) -> None:
    done = dist_alexnet("compare", "--runs", "a", "b", *typed)
    assert done.returncode == 2
    assert "would do nothing: --runs reads what runs have left; leave it out" in done.stderr


@pytest.mark.usefixtures("with_plug_ins")
def test_what_is_not_equal_is_not_compared(dist_alexnet: Command, workplace: Path) -> None:
    names = ["compare", "-c", "tiny.yaml", "--strategies", "ddp,forgetful", "--gpus", "2", "-b", "16", "--out", "unequal"]
    done = dist_alexnet(*names)
    assert done.returncode == 1
    assert "not equal: forgetful on 2: " in done.stderr
    assert "not equal: ddp" not in done.stderr
    assert not (workplace / "unequal" / "compare.json").exists()
    assert not (workplace / "unequal" / "rounds-16.jsonl").exists()
