"""What is left of a run that went wrong."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from dist_alexnet.config import UsageError
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.failure import RankFailure
from dist_alexnet.runs.metrics import MetricsFile
from dist_alexnet.runs.records import BadImage, Ended, Stage


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
    others = [b'{"kind": "end"}', b'{"kind": "other", "step": 1}', b"\xff\x00", b"3", b"[]", b"{}", b"[" * 100_000, b'{"kind": "tra']
    directory.metrics.write_bytes(b"\n".join([b'{"kind": "bad_image", "step": 1, "image": "a"}', *others]))
    assert list(directory.records()) == [BadImage(step=1, image="a")]
    for record in (Stage(doing="training"), Ended(step=3, status="completed")):
        MetricsFile(directory.metrics, 1).write(record)
    read = [replace(record, time=0.0) for record in directory.records()]
    assert read == [BadImage(step=1, image="a"), Stage(doing="training", attempt=1), Ended(step=3, status="completed", attempt=1)]


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
    for doing in ("building", "training"):
        metrics.write(Stage(doing=doing))
    (tmp_path / "metrics.jsonl").unlink()
    with pytest.raises(FileNotFoundError):
        metrics.write(Ended(step=1, status="completed"))
    assert not list(tmp_path.iterdir())
