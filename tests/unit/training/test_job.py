"""What is left of a run that went wrong."""

import json
from pathlib import Path

from dist_alexnet.training.job import RankFailure, RunDirectory


def test_the_first_failure_is_the_cause(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    assert RankFailure.first(directory) is None
    for rank, seconds in ((0, 20.0), (1, 10.0)):
        failure = {"rank": rank, "kind": "ValueError", "message": f"of {rank}", "trace": "", "seconds": seconds}
        directory.error(rank).write_text(json.dumps(failure))
    directory.error(2).write_text("")  # the disk was full
    first = RankFailure.first(directory)
    assert first is not None
    assert first.message == "of 1"


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
