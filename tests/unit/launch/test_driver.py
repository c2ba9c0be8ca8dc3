"""The person's side of a run, with launchers that misbehave. In processes of their own: they receive signals, and end."""

import errno
import importlib
import multiprocessing
import os
import re
import shutil
import threading
import time
from pathlib import Path

import pytest

from dist_alexnet.config import LaunchConfig
from dist_alexnet.data.images import TooManyBadImages
from dist_alexnet.launch.driver import driver, endings
from dist_alexnet.launch.driver.diagnosis import diagnosis, last_lines
from dist_alexnet.launch.launcher import Launcher, RankFunction
from dist_alexnet.launch.local import LocalLauncher
from dist_alexnet.runs import directory as run_directory
from dist_alexnet.runs import watch
from dist_alexnet.runs.directory import ATTEMPT, RunDirectory
from dist_alexnet.runs.failure import RankFailure, TrainingFailed
from dist_alexnet.runs.unstarted import taken_back_unless_started

LAUNCH = LaunchConfig(workers=3, timeout_s=7)


@pytest.fixture(autouse=True)
def of_no_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here ranks are threads of this process, and what they set in its environment is of their test alone."""
    monkeypatch.setenv(ATTEMPT, "")


@pytest.mark.parametrize("saves", [True, False])
def test_only_what_saves_checkpoints_can_be_resumed(tmp_path: Path, saves: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    message = "a\nb.jpg: gone; type a larger data.max_bad"  # the line break is of the name, and escaped where it is shown
    RankFailure.record(directory, 0, TooManyBadImages(message))
    rest = ", then --resume auto" if saves else ""
    assert str(endings.explain(Exception(), directory, LAUNCH, saves)) == f"rank 0 failed: {message}{rest}"
    monkeypatch.setattr(run_directory.tempfile, "TemporaryFile", full)
    rest = "--resume auto" if saves else "run this again"
    told = str(endings.explain(Exception(), directory, LAUNCH, saves))
    assert told == f"cannot write {directory.path}: No space left on device; make room, then {rest}"


def full(dir: Path) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("checkpoints", "cannot write .*/run/checkpoints: Not a directory; move it away, then --resume auto"),
        ("logs", "cannot write .*/run/logs: Not a directory; move it away, then --resume auto"),
        ("metrics.jsonl", "cannot write .*/run/metrics.jsonl: Is a directory; move it away, then --resume auto"),
    ],
)
def test_what_was_replaced_by_something_else_under_a_run_is_named(name: str, told: str, tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    if name == "metrics.jsonl":
        directory.metrics.mkdir()
    else:
        shutil.rmtree(directory.path / name, ignore_errors=True)
        (directory.path / name).touch()
    assert re.fullmatch(told, str(endings.explain(TrainingFailed("rank 0 ended with exit code 1"), directory, LAUNCH, True)))


class Waiting(Launcher):
    """Its ranks wait until they are killed."""

    def __init__(self, config: LaunchConfig) -> None:
        super().__init__(config)
        self.killed = threading.Event()

    def cuda_devices(self) -> int:
        return 0

    def run(self, function: RankFunction, directory: RunDirectory) -> None:
        function()
        self.killed.wait()
        raise TrainingFailed("rank 0 was killed by SIGKILL", killed=True)

    def kill(self) -> None:
        self.killed.set()


@pytest.mark.parametrize("replaced", [False, True])
def test_a_run_whose_folder_is_deleted_ends_and_leaves_nothing(replaced: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may have begun another under its name at once; the file `stop` is then for that one."""
    monkeypatch.setattr(watch, "LOOK_S", 0.0)
    directory = RunDirectory(tmp_path / "run")
    directory.create()

    def delete() -> None:
        directory.path.rename(tmp_path / "old")
        if replaced:
            directory.create()
            directory.stop_request.touch()

    with (
        pytest.raises(
            TrainingFailed, match="/run was deleted, moved or replaced while its ranks were running, so they were ended; start"
        ) as how,
        taken_back_unless_started(directory, fresh=True),
    ):
        driver.execute(delete, directory, Waiting(LAUNCH), print)
    assert how.value.exit_code == 1
    assert directory.path.exists() == directory.stop_request.exists() == replaced


def test_a_message_of_many_lines_is_one_line(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    RankFailure.record(directory, 1, RuntimeError("\nno memory\nException raised from f at a.cpp:1\nframe #0: 0x1"))
    told = str(endings.explain(TrainingFailed("rank 1 ended with exit code 1"), directory, LAUNCH, True))
    assert told == f"rank 1 failed: no memory; its log: {directory.log(1)}"


class DistBackendError(RuntimeError):
    """Torch's, by name."""


def test_a_silent_rank_is_named_and_not_those_that_waited_for_it(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    RankFailure.record(directory, 2, DistBackendError("Timed out waiting 7000ms for recv operation to complete"))
    RankFailure.record(directory, 0, RuntimeError("Connection closed by peer"))
    told = str(endings.explain(TrainingFailed("rank 2 ended with exit code 1"), directory, LAUNCH, True))
    assert told.startswith("rank 1 did not answer for 7 s (launch.timeout_s)")


def test_what_a_launcher_did_not_expect_is_one_line_and_a_file(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    try:
        raise FileNotFoundError(2, "No such file\nor directory", "/x")
    except FileNotFoundError as error:
        told = str(endings.explain(error, directory, LAUNCH, True))
    log = directory.path / "logs" / "launcher.log"
    assert told == f"the ranks could not be run: FileNotFoundError: [Errno 2] No such file; the traceback: {log}"
    assert "Traceback" in log.read_text()


def test_a_summary_that_a_file_server_shows_late_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    monkeypatch.setattr(endings, "SHOWN_POLL_S", 0.01)
    threading.Timer(0.1, directory.finish, [{"status": "completed"}]).start()
    assert endings.read_summary(directory) == {"status": "completed"}
    directory.summary.unlink()
    monkeypatch.setattr(endings, "SHOWN_WAIT_S", 0.0)
    with pytest.raises(TrainingFailed, match="has not come within 0 s; type --output-dir"):
        endings.read_summary(directory)


def test_ranks_that_the_driver_ended_after_a_failure_are_not_its_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is stopped, the other takes its time: the driver kills both, and the launcher sees no more than that."""
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    monkeypatch.setattr(watch, "FAILED_WAIT_S", 0.2)

    def fail() -> None:
        RankFailure.record(directory, 0, RuntimeError("Timed out waiting 7000ms for send operation to complete"))

    with pytest.raises(TrainingFailed, match=r"^ranks 1, 2 did not answer for 7 s"):
        driver.execute(fail, directory, Waiting(LAUNCH), print)


class Unreadable:
    """What a rank cannot read: it has not got so far as to open its log then."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return importlib.import_module, ("no_such_module",)

    def __call__(self) -> None:
        """Never called."""


def test_a_rank_that_cannot_even_be_loaded_says_so_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    with pytest.raises(TrainingFailed, match="^rank 0 failed: No module named 'no_such_module'; its log: .*rank_0.log$"):
        driver.execute(Unreadable(), directory, LocalLauncher(LaunchConfig(workers=1)), print)
    assert "Traceback" in directory.log(0).read_text()
    assert capfd.readouterr() == ("", "")


def test_only_ranks_are_killed() -> None:
    """Other libraries have processes of this kind, too."""
    other = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
    other.start()
    LocalLauncher(LAUNCH).kill()
    other.join(0.5)
    assert other.is_alive()
    other.kill()
    other.join()


def test_failures_of_another_attempt_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rank whose node was cut off finds out when its link is back, and the next attempt is under way."""
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    for rank, attempt in enumerate(("old", "new", "")):
        monkeypatch.setenv(ATTEMPT, attempt)
        RankFailure.record(directory, rank, RuntimeError("Connection reset by peer"))
    assert [failure.rank for failure in RankFailure.all(directory, "new")] == [1, 2]
    directory.stop_request.write_text("new")
    asked = []
    for attempt in ("new", "old"):
        monkeypatch.setenv(ATTEMPT, attempt)
        asked.append(directory.asked_to_stop())
    directory.stop_request.write_text("")
    assert (asked, directory.asked_to_stop()) == ([True, False], True)


def test_who_ended_without_a_word_is_named_before_who_noticed(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    RankFailure.record(directory, 0, RuntimeError("Read error: Connection reset by peer"))
    told = str(endings.explain(TrainingFailed("rank 0 failed"), directory, LAUNCH, True))
    assert told.startswith("ranks 1, 2 ended without a word: killed, or gone with their node; rank 0 noticed: Read error")


def test_what_a_rank_said_last_is_of_its_newest_failure(tmp_path: Path) -> None:
    log, failed = tmp_path / "rank_0.log", "2026-01-01 [rank 0/2] ERROR dist_alexnet.launch.rank: rank 0 failed\nTraceback\n  File x\n"
    log.write_text(f"first\n{failed}second\n\n")
    assert last_lines(log) == ["first"]
    log.write_text(f"first\n{failed}second\n{failed}")
    assert last_lines(log) == ["Traceback", "  File x", "second"]
    assert last_lines(tmp_path / "missing") == []
    log.write_text("a\nb\n")
    assert last_lines(log) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "out of memory: type a smaller -b"),
        ("rank 1 was killed by SIGKILL", "if nobody killed it, the kernel did"),
        ("rank 1 died: its process crashed or was killed (out of memory?)", "if nobody killed it"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("The server socket has failed to bind. EADDRINUSE", "a port was taken"),
        ("DistBackendError: NCCL error in: ncclSystemError", "NCCL failed"),
        ("ValueError: shapes", ""),
    ],
)
def test_what_is_known_of_a_failure(text: str, advice: str) -> None:
    assert diagnosis(text).startswith(advice)
    assert bool(diagnosis(text)) == bool(advice)
