"""What is left of a run that went wrong."""

import os
from pathlib import Path

import pytest

from dist_alexnet.config import UsageError
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.failure import RankFailure
from dist_alexnet.runs.metrics import MetricsFile


def test_the_first_failure_is_the_oldest_file_whatever_the_clocks_of_the_nodes_say(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    assert RankFailure.all(directory) == []
    for rank, seconds in ((0, 200.0), (1, 100.0)):
        RankFailure.record(directory, rank, ValueError(f"of {rank}"))
        os.utime(directory.error(rank), (seconds, seconds))
    directory.error(2).write_text("")  # the disk was full
    assert [failure.message for failure in RankFailure.all(directory)] == ["of 1", "of 0"]


def test_a_new_attempt_forgets_failures_and_requests_to_stop(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    directory.error(0).write_text("{}")
    directory.stop_request.touch()
    directory.create()
    assert directory.stop_request.exists(), "whoever has not locked the folder leaves it as it is"
    directory.begin("", "")
    assert not directory.error(0).exists()
    assert not directory.stop_request.exists()


def test_what_is_no_record_is_left_out_and_costs_no_other(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    directory.metrics.write_bytes(b'{"kind": "start"}\n\xff\x00\n3\n[]\n{}\n' + b"[" * 100_000 + b'\n{"kind": "tra')
    assert [record["kind"] for record in directory.read_metrics()] == ["start"]
    for kind in ("start", "end"):
        MetricsFile(directory.metrics, 1).write(kind)
    assert [record["kind"] for record in directory.read_metrics()] == ["start", "start", "end"]


def test_each_attempt_that_had_other_settings_is_kept(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    for config in ("a", "a", "b", "c"):
        directory.begin(config, "{}")
    kept = {path.name: path.read_text() for path in directory.path.glob("config*")}
    assert kept == {"config-1.yaml": "a", "config-2.yaml": "b", "config.yaml": "c"}


@pytest.mark.parametrize("name", ["config.yaml", "env.json", "metrics.jsonl", "summary.json", "stop", "logs/rank_0.log"])
def test_a_folder_where_a_file_belongs_is_named(name: str, tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    (directory.path / name).mkdir()
    with pytest.raises(UsageError, match=f"cannot write .*/run/{name}: Is a directory; move it away, or type --output-dir"):
        directory.begin("", "{}")


@pytest.mark.parametrize("name", ["logs", "checkpoints"])
def test_a_file_where_a_folder_belongs_is_named(name: str, tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    (tmp_path / name).touch()
    if name == "checkpoints":
        directory.create()
    write = directory.create if name == "logs" else lambda: directory.begin("", "{}")
    with pytest.raises(UsageError, match=f"cannot write .*/{name}: (File exists|Not a directory); move it away, or type --output-dir"):
        write()


def test_metrics_do_not_come_back_in_a_folder_that_is_being_deleted(tmp_path: Path) -> None:
    metrics = MetricsFile(tmp_path / "metrics.jsonl")
    for kind in ("stage", "start"):
        metrics.write(kind)
    (tmp_path / "metrics.jsonl").unlink()
    with pytest.raises(FileNotFoundError):
        metrics.write("train")
    assert not list(tmp_path.iterdir())
