"""What is left of a run that went wrong."""

import os
from pathlib import Path

from dist_alexnet.training.job import RankFailure, RunDirectory


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


def test_a_line_that_a_kill_cut_short_is_left_out(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    directory.metrics.write_text('{"kind": "start"}\n{"kind": "tra')
    assert list(directory.read_metrics()) == [{"kind": "start"}]
