"""Ends that nobody asked for: of Ray's own processes, and of the driver."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.orchestration.runs import begin, has_logged, left_of, wait_until


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Where a run has its temporary files. Not tmp_path: it is too long for Ray's sockets."""
    with tempfile.TemporaryDirectory(prefix="t-") as folder:
        yield Path(folder)


def leftovers(run: Path, temporary: Path) -> list[str]:
    return [path.name for folder in (run, temporary) for path in folder.iterdir() if path.name.startswith((".ray-", "ray-", "stop"))]


def writer_of(run: "subprocess.Popen[str]", log: Path) -> int:
    """The first process of a run that has this file open."""
    started = map(int, subprocess.check_output(["pgrep", "-s", str(run.pid)], text=True).split())
    return next(pid for pid in started if log in [Path(os.readlink(opened)) for opened in Path(f"/proc/{pid}/fd").iterdir()])


def test_a_dead_process_of_ray_is_named_and_nothing_is_left(workplace: Path, temporary: Path) -> None:
    """By itself Ray waits for a minute, and then aborts its driver."""
    folder = workplace / "runs" / "no-gcs"
    run = begin(workplace, folder.name, "--launcher", "ray", temporary=temporary)
    wait_until(run, lambda: has_logged(folder, '"step": 2,'))
    os.kill(int(subprocess.check_output(["pgrep", "-s", str(run.pid), "gcs_server"])), signal.SIGKILL)
    output = run.communicate(timeout=90)[0]
    assert run.returncode == 1
    assert "error: Ray's process gcs_server died" in output
    assert "to go on: " in output
    assert left_of(run) == []
    assert leftovers(folder, temporary) == []


@pytest.mark.slow
def test_what_a_killed_driver_left_the_next_run_removes(workplace: Path, temporary: Path) -> None:
    folder = workplace / "runs" / "killed-under-ray"
    run = begin(workplace, folder.name, "--launcher", "ray", temporary=temporary)
    wait_until(run, lambda: has_logged(folder, '"kind": "checkpoint"'))
    run.kill()
    run.communicate()
    assert leftovers(folder, temporary)
    following = begin(workplace, folder.name, "--resume", "auto", "--launcher", "ray", "--max-steps", "100", temporary=temporary)
    assert "resumed" in following.communicate(timeout=90)[0]
    assert following.returncode == 0
    assert leftovers(folder, temporary) == []
    assert left_of(run) == []


@pytest.mark.slow
def test_a_stopped_rank_under_ray_is_named_with_the_setting(workplace: Path, temporary: Path) -> None:
    folder = workplace / "runs" / "silent-under-ray"
    run = begin(workplace, folder.name, "--launcher", "ray", "launch.timeout_s=5", temporary=temporary)
    wait_until(run, lambda: has_logged(folder, '"step": 2,'))
    os.kill(writer_of(run, folder / "logs" / "rank_1.log"), signal.SIGSTOP)
    output = run.communicate(timeout=120)[0]
    assert run.returncode == 1
    assert "error: rank 1 did not answer for 5 s (launch.timeout_s)" in output
    assert left_of(run) == []
    assert leftovers(folder, temporary) == []
