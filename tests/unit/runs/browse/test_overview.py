"""How a run stands, from its ends alone."""

import fcntl
import json
from pathlib import Path

import pytest

from dist_alexnet.runs.browse.folder import RunsFolder
from dist_alexnet.runs.browse.overview import Overview, locked_files, overview
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.failure import RankFailure
from dist_alexnet.runs.records import Stage
from tests.made_runs import NOW, line, make_long, make_run, started, steps, validated


def look(run: Path, now: float = NOW + 100) -> Overview:
    return overview(RunsFolder(run.parent), run, set(), now)


@pytest.mark.parametrize("status", ["completed", "stopped"])
def test_a_run_that_ended_says_how(status: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", status=status)
    assert look(run).state == status
    (run / "summary.json").unlink()
    assert look(run).state == status


def test_its_newest_numbers_are_there(tmp_path: Path) -> None:
    seen = look(make_run(tmp_path, "a"))
    assert (seen.started, seen.steps, seen.validated) == (started(), steps(20), validated(20))


def test_a_run_that_says_nothing_for_longer_than_its_reports_take_is_silent(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    metrics = tmp_path / "a" / "metrics.jsonl"
    metrics.write_bytes(line(started()) + line(steps(2)))
    assert [look(tmp_path / "a", NOW + later).state for later in (10, 100, 200)] == ["live", "live", "silent"]
    metrics.write_bytes(line(started()) + line(steps(2, step_seconds=100.0)))
    assert [look(tmp_path / "a", NOW + later).state for later in (900, 1100)] == ["live", "silent"]
    metrics.write_bytes(line(started()) + line(steps(2)) + line(Stage(doing="validation", time=NOW)))
    assert [look(tmp_path / "a", NOW + later).state for later in (1700, 1900)] == ["live", "silent"]


def test_a_run_whose_folder_a_process_holds_is_live_however_long_it_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "metrics.jsonl").write_bytes(line(started()) + line(steps(2)))
    with (tmp_path / "a" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if lock.fileno() and (held := locked_files()):
            assert overview(RunsFolder(tmp_path), tmp_path / "a", held, NOW + 10**6).state == "live"


def test_a_failed_run_and_one_that_was_resumed_after_its_end(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a")
    (run / "summary.json").unlink()
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(line(started(attempt=1, step=20, time=NOW + 90)))
    assert look(run).state == "live"
    RankFailure.record(RunDirectory(run), 1, ValueError("x"))
    assert look(run).state == "failed"


def test_a_long_run_and_one_with_nothing_to_read_are_seen_too(tmp_path: Path) -> None:
    make_long(tmp_path / "long", 1000)
    seen = look(tmp_path / "long")
    assert seen.started == started(total_steps=1000)
    assert seen.steps is not None
    assert seen.steps.step == 1999
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "metrics.jsonl").write_bytes(b"\xff\n{\n")
    assert look(tmp_path / "new").steps is None


def test_records_of_a_later_version_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "metrics.jsonl").write_bytes(json.dumps(steps(2).as_dict() | {"version": 99}).encode() + b"\n")
    assert "version 99" in look(tmp_path / "a").later
